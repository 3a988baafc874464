"""The curves of the report: few points, each of them on the exact curve of scikit-learn."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from steel_training.evaluation.curves import CURVE_POINTS, curves


def scored(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = (random.random(n) < 0.2).astype(int)
    return labels, random.beta(2 + 3 * labels, 5)


VAL, TEST = scored(1, 900), scored(2, 1500)


def rounded(*values: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(round(float(one), 5) for one in point) for point in zip(*values, strict=True)}


def test_curves_are_short() -> None:
    assert all(
        10 < len(values) <= CURVE_POINTS for curve in asdict(curves(VAL, TEST)).values() for values in curve.values()
    )


def test_test_curves_are_on_the_exact_curves() -> None:
    drawn = curves(VAL, TEST)
    false, true, _ = roc_curve(*TEST, drop_intermediate=False)
    assert rounded(drawn.roc.fpr, drawn.roc.tpr) <= rounded(false, true)
    precision, recall, _ = precision_recall_curve(*TEST)
    assert rounded(drawn.pr.precision, drawn.pr.recall) <= rounded(precision, recall)


def test_thresholds_are_of_validation() -> None:
    sweep = curves(VAL, TEST).sweep
    precision, recall, thresholds = precision_recall_curve(*VAL)
    exact = rounded(thresholds, recall[:-1], precision[:-1])
    assert rounded(sweep.threshold, sweep.recall, sweep.precision) <= exact
    assert sweep.threshold == sorted(sweep.threshold, reverse=True)
