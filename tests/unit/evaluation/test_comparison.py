"""Two models on the same patches: what makes a photograph hard for both drops out of their difference."""

from __future__ import annotations

import numpy as np
import pytest

from steel_training.evaluation.comparison import ScoredModel, auc_difference, compare

RANDOM = np.random.default_rng(0)
LABELS = np.arange(1200) % 2
GROUPS = np.arange(1200) // 12
HARD = np.repeat(RANDOM.normal(0, 1, 100), 12)
SCORES = 1 / (1 + np.exp(-(2 * LABELS - 1 + HARD * (2 * LABELS - 1) + 0.3 * RANDOM.standard_normal(1200))))
BOUNDS = {"confidence": 0.95, "resamples": 400, "seed": 0}


def test_a_model_does_not_differ_from_itself() -> None:
    found = compare(LABELS, GROUPS, ScoredModel(SCORES, 0.5), ScoredModel(SCORES, 0.5), **BOUNDS).difference
    assert all((each.value, each.bound) == (0, 0) for each in found.values())


def test_the_difference_is_paired_by_group() -> None:
    worse = np.where(RANDOM.random(1200) < 0.02, 0.0, SCORES)
    found = compare(LABELS, GROUPS, ScoredModel(SCORES, 0.5), ScoredModel(worse, 0.5), **BOUNDS)
    difference = found.difference["recall"]
    assert difference.value == pytest.approx(np.mean(SCORES[LABELS == 1] >= 0.5) - found.metrics["recall"])
    assert 0 < difference.bound < difference.value, "a small difference shows although photographs differ far more"


def test_the_sign_says_who_is_better() -> None:
    found = compare(LABELS, GROUPS, ScoredModel(RANDOM.random(1200), 0.5), ScoredModel(SCORES, 0.5), **BOUNDS)
    assert all(each.bound < each.value < 0 for each in found.difference.values())


def test_reference_with_nan_scores_has_nan_metrics() -> None:
    found = compare(
        LABELS, GROUPS, ScoredModel(SCORES, 0.5), ScoredModel(np.full(1200, np.nan), 0.5), **BOUNDS
    ).as_dict()
    assert found["auc"] is None
    assert found["difference"]["auc"]["value"] is None
    assert found["precision"] == 0.0


def test_auc_interval_holds_difference_and_is_antisymmetric() -> None:
    noisier = SCORES + 0.4 * RANDOM.standard_normal(1200)
    ahead, behind = (auc_difference(LABELS, GROUPS, *pair, **BOUNDS) for pair in ((SCORES, noisier), (noisier, SCORES)))
    assert 0 < ahead.low < ahead.value < ahead.high
    assert (behind.value, behind.low, behind.high) == pytest.approx((-ahead.value, -ahead.high, -ahead.low))
    assert ahead.ours - ahead.theirs == ahead.value


def test_auc_interval_has_nominal_coverage() -> None:
    """Two models of one quality on other noise: the true difference is 0, and 95 % intervals hold it in 95 of 100 cases."""
    holds = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        hard = np.repeat(random.normal(0, 1, 60), 10)
        labels = random.integers(0, 2, 600)
        one, other = (labels + hard + random.standard_normal(600) for _ in range(2))
        found = auc_difference(labels, np.arange(600) // 10, one, other, confidence=0.95, resamples=200, seed=seed)
        holds += found.low <= 0 <= found.high
    assert 88 <= holds <= 100


def test_model_with_nan_scores_is_never_better() -> None:
    found = auc_difference(LABELS, GROUPS, np.full(1200, np.nan), SCORES, **BOUNDS).as_dict()
    assert found["value"] is None
