"""The review band: around the threshold, chosen on validation, open at an end that validation cannot support."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.evaluation.review_band import NOTHING_IS_REJECTED, NOTHING_PASSES, apply_band, choose_band
from steel_training.evaluation.threshold import choose_threshold


def scored(seed: int, defects: int, clean: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.r_[np.ones(defects), np.zeros(clean)].astype(int)
    scores = 1 / (1 + np.exp(-(random.standard_normal(len(labels)) * 1.2 + 4 * labels - 2)))
    return labels, np.round(scores, 1) if ties else scores


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(20, 600),
    st.integers(5, 900),
    st.booleans(),
    st.sampled_from([0.0, 1.0, 2.0]),
    st.floats(0.5, 1.0),
    st.floats(0.5, 1.0),
)
def test_band_surrounds_threshold_and_meets_targets(
    seed: int, defects: int, clean: int, ties: bool, margin: float, recall: float, precision: float
) -> None:
    labels, scores = scored(seed, defects, clean, ties=ties)
    threshold = choose_threshold(labels, scores, recall=0.95, precision=0.7, margin=margin).value
    band = choose_band(labels, scores, threshold, recall=recall, precision=precision, margin=margin)
    assert band.low <= threshold <= band.high
    found = apply_band(band, labels, scores)
    assert found.passed + found.reviewed + found.rejected == len(labels)
    assert 1 - found.missed_below / defects >= recall - 1e-9
    if found.rejected:
        assert 1 - found.false_above / found.rejected >= precision - 1e-9


def test_higher_recall_never_passes_more_patches() -> None:
    labels, scores = scored(1, 900, 2000)
    lows = [choose_band(labels, scores, 0.5, recall=r, precision=0.9, margin=1.0).low for r in (0.9, 0.97, 0.99, 1.0)]
    assert lows == sorted(lows, reverse=True)


def test_too_few_defects_pass_nothing_and_name_the_number() -> None:
    labels, scores = scored(2, 60, 300)
    band = choose_band(labels, scores, 0.5, recall=0.99, precision=1.0, margin=1.0)
    assert (band.low, band.high) == (NOTHING_PASSES, NOTHING_IS_REJECTED)
    assert "60 defects" in band.note
    assert "about 198" in band.note
    assert apply_band(band, labels, scores).reviewed == len(labels)
    assert apply_band(band, np.array([1]), np.array([1.0])).reviewed == 1, "not even a score of 1"
