"""Metrics come from counts over a whole split, and agree with scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import fbeta_score

from steel_training.evaluation.metrics import Counts, auc, average_precision, count, sweep


def scored(seed: int, n: int = 400, shift: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(int)
    return labels, 1 / (1 + np.exp(-(rng.normal(size=n) + shift * labels - 1)))


def test_f2_from_counts_matches_scikit_learn():
    labels, scores = scored(1)
    found = count(labels, scores, 0.5)
    assert found.f2 == pytest.approx(fbeta_score(labels, scores >= 0.5, beta=2))
    assert found.tp + found.fn == labels.sum()


def test_undefined_metrics_are_nan():
    assert np.isnan(Counts(tp=0, fn=0, fp=3, tn=4).recall)
    assert np.isnan(Counts(tp=0, fn=2, fp=0, tn=4).precision)


def test_sweep_agrees_with_counts_at_every_threshold():
    labels, scores = scored(4, n=60)
    scores = np.round(scores, 1)
    for threshold, recall, precision, f2 in zip(*sweep(labels, scores), strict=True):
        found = count(labels, scores, threshold)
        assert (recall, precision, f2) == pytest.approx((found.recall, found.precision, found.f2))


@pytest.mark.parametrize("scores", [[0.1, np.nan, 0.3, 0.4], [0.1, np.inf, 0.3, 0.4]])
def test_areas_of_non_finite_scores_are_undefined(scores):
    labels = np.array([0, 1, 0, 1])
    assert np.isnan(auc(labels, np.array(scores)))
    assert np.isnan(average_precision(labels, np.array(scores)))


def test_false_alarms_are_per_1000_clean_patches():
    assert Counts(tp=5, fn=0, fp=3, tn=197).false_alarms_per_1000 == pytest.approx(15)
    assert np.isnan(Counts(tp=5, fn=0, fp=0, tn=0).false_alarms_per_1000)
