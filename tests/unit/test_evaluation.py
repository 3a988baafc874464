"""Evaluation: the threshold comes from validation alone, the figures from counts over the whole test part."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    fbeta_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from steel_training.config import load_config
from steel_training.evaluation import curves, judge

RANDOM = np.random.default_rng(3)


def scored(count: int, shift: float = 2.2) -> tuple[np.ndarray, np.ndarray]:
    labels = (RANDOM.random(count) < 0.3).astype(int)
    return labels, 1 / (1 + np.exp(-(RANDOM.standard_normal(count) + shift * labels - 1)))


VAL, TEST = scored(2000), scored(1500)
GROUPS = np.arange(1500) // 5
CONFIG = load_config(overrides=["gate.resamples=200", "gate.precision=0.5"])


def test_figures_are_those_of_scikit_learn_at_the_chosen_threshold() -> None:
    judged = judge(CONFIG, val=VAL, test=TEST, groups=GROUPS)
    labels, scores = TEST
    called = scores >= judged.threshold.value
    found = {name: metric.value for name, metric in judged.metrics.items()}
    assert found["recall"] == pytest.approx(recall_score(labels, called))
    assert found["precision"] == pytest.approx(precision_score(labels, called))
    assert found["f2"] == pytest.approx(fbeta_score(labels, called, beta=2))
    assert found["auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert found["average_precision"] == pytest.approx(average_precision_score(labels, scores))
    assert judged.counts.tp + judged.counts.fn == labels.sum()
    assert all(metric.lower <= metric.value for metric in judged.metrics.values())
    assert "accuracy" not in found


def test_the_test_part_has_no_say_in_the_threshold() -> None:
    usual = judge(CONFIG, val=VAL, test=TEST, groups=GROUPS).threshold.value
    labels, scores = TEST
    assert judge(CONFIG, val=VAL, test=(1 - labels, scores[::-1].copy()), groups=GROUPS).threshold.value == usual
    assert judge(CONFIG, val=(VAL[0], VAL[1] ** 2), test=TEST, groups=GROUPS).threshold.value != usual


def test_a_margin_asks_for_more_recall_on_validation() -> None:
    reached = []
    for margin in (0.0, 1.0, 2.0):
        config = CONFIG.model_copy(update={"threshold": CONFIG.threshold.model_copy(update={"margin": margin})})
        threshold = judge(config, val=VAL, test=TEST, groups=GROUPS).threshold.value
        reached.append(recall_score(VAL[0], VAL[1] >= threshold))
    assert reached[0] >= 0.95
    assert reached == sorted(reached)
    assert reached[2] > reached[0]


def test_curves_are_short_whatever_the_number_of_patches_and_lie_on_the_exact_ones() -> None:
    drawn = curves(VAL, TEST)
    assert all(len(values) <= 400 for curve in drawn.values() for values in curve.values())
    false, true, _ = roc_curve(*TEST, drop_intermediate=False)
    exact = {(round(float(x), 5), round(float(y), 5)) for x, y in zip(false, true, strict=True)}
    assert set(zip(drawn["roc"]["fpr"], drawn["roc"]["tpr"], strict=True)) <= exact
