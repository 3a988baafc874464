"""The curves of the report: precision-recall and ROC on test, and metrics by threshold on validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steel_training.evaluation.metrics import sweep

CURVE_POINTS = 400


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Points from the highest threshold to the lowest."""

    precision: list[float]
    recall: list[float]


@dataclass(frozen=True)
class RocCurve:
    """Points from the highest threshold to the lowest: false and true positive rate."""

    fpr: list[float]
    tpr: list[float]


@dataclass(frozen=True)
class ThresholdSweep:
    """Metrics by threshold, highest first."""

    threshold: list[float]
    recall: list[float]
    precision: list[float]
    f2: list[float]


@dataclass(frozen=True)
class Curves:
    """At most `CURVE_POINTS` points each; the fields are the keys of `curves.json`."""

    pr: PrecisionRecallCurve
    roc: RocCurve
    sweep: ThresholdSweep


def curves(val: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> Curves:
    """Return the curves of labels int (n,) and scores float (n,) of both splits."""
    test_thresholds, recall, precision, _ = sweep(*test)
    labels, scores = test
    clean = np.sort(scores[labels == 0])
    false_alarms = (len(clean) - np.searchsorted(clean, test_thresholds, side="left")) / max(1, len(clean))
    thresholds, val_recall, val_precision, val_f2 = sweep(*val)
    return Curves(
        PrecisionRecallCurve(precision=_thin(precision), recall=_thin(recall)),
        RocCurve(fpr=_thin(false_alarms), tpr=_thin(recall)),
        ThresholdSweep(
            threshold=_thin(thresholds), recall=_thin(val_recall), precision=_thin(val_precision), f2=_thin(val_f2)
        ),
    )


def _thin(values: np.ndarray) -> list[float]:
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), CURVE_POINTS)).round().astype(int))
    return [round(float(value), 5) for value in values[chosen]]
