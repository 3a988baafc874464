"""The operating threshold: recall first, with a margin for sampling error, or a refusal to choose."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from steel_training.evaluation.metrics import count, sweep
from steel_training.evaluation.threshold import NoOperatingThreshold, choose_threshold, min_defects_to_resolve


def scored(seed: int, *, defects: int = 260, clean: int = 720, shift: float = 2.9) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a model whose precision at recall 0.95 is about 0.76, as that on real steel is."""
    random = np.random.default_rng(seed)
    labels = np.r_[np.ones(defects), np.zeros(clean)].astype(int)
    return labels, random.standard_normal(len(labels)) + shift * labels


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(20, 80), st.integers(5, 200), st.booleans(), st.sampled_from([0.0, 0.5, 1, 3])
)
def test_threshold_meets_the_recall_target(seed, defects, clean, ties, margin) -> None:
    random = np.random.default_rng(seed)
    labels = np.array([1] * defects + [0] * clean)
    scores = random.random(len(labels)) + 0.3 * labels
    scores = np.round(scores, 1) if ties else scores
    chosen = choose_threshold(labels, scores, recall=0.95, precision=0.7, margin=margin)
    found = count(labels, scores, chosen.value)
    assert found.recall >= 0.95
    assert (found.recall, found.precision) == pytest.approx((chosen.val_recall, chosen.val_precision))
    _, recalls, precisions, _ = sweep(labels, scores)
    both = ((recalls >= 0.95) & (precisions >= 0.7)).any()
    assert (chosen.val_precision >= 0.7) == both, "precision is kept wherever it can be"
    assert (chosen.room >= 0) == both


def test_good_model_has_full_margin_and_best_f2() -> None:
    labels, scores = scored(0, shift=5.0)
    chosen = choose_threshold(labels, scores, recall=0.95, precision=0.7, margin=1.0)
    assert chosen.room >= 1.0
    thresholds, recalls, precisions, f2 = sweep(labels, scores)
    far = (recalls >= 0.95 + np.sqrt(2 * 0.95 * 0.05 / 260)) & (precisions >= 0.7 + np.sqrt(2 * 0.7 * 0.3 / 240))
    assert chosen.val_f2 == pytest.approx(f2[far].max(), abs=0.01)


def test_margin_holds_more_often_on_new_samples() -> None:
    held = dict.fromkeys((0.0, 1.0), 0)
    for seed in range(150):
        for margin in held:
            chosen = choose_threshold(*scored(seed), recall=0.95, precision=0.7, margin=margin)
            found = count(*scored(seed + 10_000), chosen.value)
            held[margin] += found.recall >= 0.95 and found.precision >= 0.70
    assert held[1.0] > 1.15 * held[0.0], held


@example(seed=58, shift=3.0)
@given(seed=st.integers(0, 500), shift=st.floats(1.5, 3.0))
def test_a_margin_that_is_short_never_reads_like_the_one_asked_for(seed: int, shift: float) -> None:
    """It said "by 1.0 standard errors instead of 1"."""
    chosen = choose_threshold(*scored(seed, shift=shift), recall=0.95, precision=0.7, margin=1.0)
    if short := re.search(r"by (\S+) standard errors instead of (\S+)", chosen.note):
        assert 0 <= float(short[1]) < float(short[2])


def test_recall_first_if_precision_is_out_of_reach() -> None:
    labels, scores = scored(1, shift=1.0)
    chosen = choose_threshold(labels, scores, recall=0.95, precision=0.7, margin=1.0)
    assert chosen.val_recall >= 0.95
    assert chosen.val_precision < 0.7
    assert "no threshold meets precision" in chosen.note
    assert choose_threshold(labels, scores, recall=0.0, precision=0.7, margin=0.0).val_precision >= 0.7


@pytest.mark.parametrize(
    ("labels", "scores", "code", "named"),
    [
        ([0, 0, 0], [0.1, 0.2, 0.3], "gate.not_enough_evidence", "0 defects"),
        ([1, 1, 1], [0.1, 0.2, 0.3], "gate.not_enough_evidence", "3 defects among 3"),
        ([0, 1, 1], [0.1, np.nan, 0.3], "gate.not_finite", "not finite"),
        ([0, 1, 1], [0.4, 0.4, 0.4], "collapse.constant_score", "collapsed"),
        ([0, 1, 1], [0.4, 0.5, 0.6], "gate.not_enough_evidence", "2 defects; with fewer than 20"),
    ],
)
def test_insufficient_validation_is_refused(labels, scores, code, named) -> None:
    with pytest.raises(NoOperatingThreshold, match=named) as refused:
        choose_threshold(np.array(labels), np.array(scores), recall=0.95, precision=0.7, margin=1)
    assert refused.value.code == code


@pytest.mark.parametrize(("recall", "defects"), [(0.95, 20), (0.8, 5), (0.9, 10), (0.99, 100), (0.0, 1), (1.0, 1)])
def test_min_defects_to_resolve_a_recall_target(recall: float, defects: int) -> None:
    assert min_defects_to_resolve(recall) == defects
    labels = np.r_[np.ones(defects), np.zeros(50)].astype(int)
    scores = np.linspace(1, 0, len(labels))
    choose_threshold(labels, scores, recall=recall, precision=0.7, margin=1)
    if defects > 1:
        with pytest.raises(NoOperatingThreshold, match=f"fewer than {defects}"):
            choose_threshold(labels[1:], scores[1:], recall=recall, precision=0.7, margin=1)
