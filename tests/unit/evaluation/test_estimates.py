"""Metrics of a split with bounds: scikit-learn's values, and bounds that account for groups, one class and ties."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from steel_training.evaluation.confidence import Resamples
from steel_training.evaluation.estimates import estimates, precision_at, proportions


def scored(seed: int, n: int = 400, shift: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(int)
    return labels, 1 / (1 + np.exp(-(rng.normal(size=n) + shift * labels - 1)))


def test_estimates_match_scikit_learn_within_bounds():
    labels, scores = scored(5)
    found = estimates(labels, scores, np.arange(len(labels)) // 4, 0.4, confidence=0.95, resamples=300)
    assert found["auc"].value == pytest.approx(roc_auc_score(labels, scores))
    assert found["average_precision"].value == pytest.approx(average_precision_score(labels, scores))
    alarms = found.pop("false_alarms_per_1000")
    assert alarms.value < alarms.bound < 1000
    for estimate in found.values():
        assert 0 < estimate.bound < estimate.value


def test_59_defects_without_a_miss_prove_95_percent():
    # One-sided 95 % Clopper-Pearson: 59 of 59 found gives a lower bound of .9505, 58 of 58 one of .9497.
    for defects, proven in ((59, True), (58, False)):
        labels = np.array([1] * defects + [0] * 100)
        bound = estimates(labels, labels.astype(float), np.arange(len(labels)), 0.5, confidence=0.95, resamples=100)[
            "recall"
        ].bound
        assert (bound >= 0.95) is proven


def test_correlated_failures_widen_the_bounds():
    labels = np.ones(400, int)
    labels[::2] = 0
    groups = np.arange(400) // 40
    together = np.where((labels == 1) & (groups == 0), 0.1, labels * 0.9)
    scattered = np.where((labels == 1) & (np.arange(400) % 20 == 1), 0.1, labels * 0.9)
    low = [
        estimates(labels, s, groups, 0.5, confidence=0.95, resamples=1000)["recall"].bound
        for s in (together, scattered)
    ]
    assert low[0] < low[1]


@pytest.mark.parametrize(("label", "undefined"), [(0, "recall"), (1, "specificity")])
def test_metrics_are_undefined_with_one_class(label, undefined):
    labels = np.full(40, label)
    found = estimates(labels, np.linspace(0, 1, 40), np.arange(40) // 4, 0.5, confidence=0.95, resamples=100)
    for name in (undefined, "auc"):
        assert np.isnan(found[name].value)
        assert np.isnan(found[name].bound)
        assert found[name].as_dict() == {"value": None, "bound": None}


def test_constant_scores_have_an_auc_of_one_half():
    labels = np.arange(40) % 2
    found = estimates(labels, np.full(40, 0.5), np.arange(40) // 4, 0.5, confidence=0.95, resamples=100)
    assert found["auc"].value == found["auc"].bound == 0.5
    assert found["recall"].value == 1.0
    assert found["specificity"].value == 0.0


def test_precision_at_prevalence_matches_resampling():
    labels, scores = scored(8, n=4000)
    drawn = Resamples.by_group(np.arange(4000) // 4, 300, 0)
    called = scores >= 0.5
    own = precision_at(float(labels.mean()), labels, called, drawn, 0.95)
    assert own.value == pytest.approx(proportions(labels, called, drawn, 0.95)["precision"].value)
    rare = precision_at(0.01, labels, called, drawn, 0.95)
    assert rare.bound < rare.value < own.value
    assert rare.value == pytest.approx(_bayes(labels, called, 0.01))


def _bayes(labels, called, prevalence):
    recall, alarms = called[labels == 1].mean(), called[labels == 0].mean()
    return prevalence * recall / (prevalence * recall + (1 - prevalence) * alarms)


def test_zero_false_alarms_do_not_bound_precision_at_1():
    labels = np.r_[np.ones(50), np.zeros(50)].astype(int)
    drawn = Resamples.by_group(np.arange(100), 200, 0)
    found = precision_at(0.01, labels, labels == 1, drawn, 0.95)
    assert found.value == 1.0
    assert found.bound < 0.2
