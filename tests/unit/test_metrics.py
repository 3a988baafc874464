"""Metrics come from counts over a whole part, and agree with scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, fbeta_score, roc_auc_score

from steel_training.metrics import Counts, count, estimates, sweep


def scored(seed: int, n: int = 400, shift: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(int)
    return labels, 1 / (1 + np.exp(-(rng.normal(size=n) + shift * labels - 1)))


def test_f2_of_counts_is_the_f2_of_scikit_learn():
    labels, scores = scored(1)
    found = count(labels, scores, 0.5)
    assert found.f2 == pytest.approx(fbeta_score(labels, scores >= 0.5, beta=2))
    assert found.tp + found.fn == labels.sum()


def test_metrics_that_are_undefined_are_not_a_number_rather_than_zero_or_one():
    assert np.isnan(Counts(tp=0, fn=0, fp=3, tn=4).recall)
    assert np.isnan(Counts(tp=0, fn=2, fp=0, tn=4).precision)


def test_the_sweep_agrees_with_counting_at_every_threshold():
    labels, scores = scored(4, n=60)
    scores = np.round(scores, 1)
    for threshold, recall, precision, f2 in zip(*sweep(labels, scores), strict=True):
        found = count(labels, scores, threshold)
        assert (recall, precision, f2) == pytest.approx((found.recall, found.precision, found.f2))


def test_estimates_are_those_of_scikit_learn_and_bounds_lie_below():
    labels, scores = scored(5)
    found = estimates(labels, scores, np.arange(len(labels)) // 4, 0.4, confidence=0.95, resamples=300)
    assert found["auc"].value == pytest.approx(roc_auc_score(labels, scores))
    assert found["average_precision"].value == pytest.approx(average_precision_score(labels, scores))
    for estimate in found.values():
        assert 0 < estimate.lower < estimate.value


def test_fifty_nine_defects_without_a_miss_just_prove_95_percent():
    # One-sided 95 % Clopper-Pearson: 59 of 59 found gives a lower bound of .9505, 58 of 58 one of .9497.
    for defects, proven in ((59, True), (58, False)):
        labels = np.array([1] * defects + [0] * 100)
        bound = estimates(labels, labels.astype(float), np.arange(len(labels)), 0.5, confidence=0.95, resamples=100)[
            "recall"
        ].lower
        assert (bound >= 0.95) is proven


def test_bounds_are_wider_when_patches_of_a_group_fail_together():
    labels = np.ones(400, int)
    labels[::2] = 0
    groups = np.arange(400) // 40
    together = np.where((labels == 1) & (groups == 0), 0.1, labels * 0.9)
    scattered = np.where((labels == 1) & (np.arange(400) % 20 == 1), 0.1, labels * 0.9)
    low = [
        estimates(labels, s, groups, 0.5, confidence=0.95, resamples=1000)["recall"].lower
        for s in (together, scattered)
    ]
    assert low[0] < low[1]
