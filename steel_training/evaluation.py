"""Judges networks on patches: scores, the operating threshold from validation, metrics and curves from the test part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from steel_training.config import Config
from steel_training.features import PatchSet, resize
from steel_training.metrics import (
    Counts,
    Estimate,
    count,
    estimates,
    sweep,
)
from steel_training.pixels import read_batches
from steel_training.threshold import OperatingThreshold, choose_threshold

CURVE_POINTS = 400
BATCH = 64


@dataclass(frozen=True)
class Judgement:
    """A model at its operating threshold on the test part."""

    threshold: OperatingThreshold
    counts: Counts
    metrics: dict[str, Estimate]


def score(network: Any, patches: PatchSet) -> np.ndarray:
    """Returns float32 scores (n,) of a Keras network (n, size, size, 3) → (n, 1) for every patch, in order."""
    import tensorflow as tf

    forward = tf.function(lambda pixels: network(pixels, training=False), reduce_retracing=True)
    size = int(network.input_shape[1])
    batches = read_batches(patches.storage, patches.paths, BATCH)
    return np.concatenate([np.asarray(forward(resize(batch, size)))[:, 0] for batch in batches])


def operating_threshold(config: Config, labels: np.ndarray, scores: np.ndarray) -> OperatingThreshold:
    """Chooses the threshold on validation by the targets and the margin of the configuration."""
    gate = config.gate
    return choose_threshold(
        labels, scores, recall=gate.recall or 0.0, precision=gate.precision or 0.0, margin=config.threshold.margin
    )


def judge(
    config: Config, *, val: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], groups: np.ndarray
) -> Judgement:
    """Chooses the threshold on validation and measures on the test part.

    Args:
        config: targets, margin, confidence.
        val: labels and scores of validation.
        test: labels and scores of the test part.
        groups: of the test patches.
    """
    gate = config.gate
    threshold = operating_threshold(config, *val)
    measured = estimates(
        *test, groups, threshold.value, confidence=gate.confidence, resamples=gate.resamples, seed=config.data.seed
    )
    return Judgement(threshold, count(*test, threshold.value), measured)


def curves(val: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """Returns the curves of the report: precision-recall and ROC on test, the threshold sweep on validation."""
    test_thresholds, recall, precision, _ = sweep(*test)
    labels, scores = test
    clean = np.sort(scores[labels == 0])
    false_alarms = (len(clean) - np.searchsorted(clean, test_thresholds, side="left")) / max(1, len(clean))
    thresholds, val_recall, val_precision, val_f2 = sweep(*val)
    return {
        "pr": {"precision": _thin(precision), "recall": _thin(recall)},
        "roc": {"fpr": _thin(false_alarms), "tpr": _thin(recall)},
        "sweep": {
            "threshold": _thin(thresholds),
            "recall": _thin(val_recall),
            "precision": _thin(val_precision),
            "f2": _thin(val_f2),
        },
    }


def _thin(values: np.ndarray) -> list[float]:
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), CURVE_POINTS)).round().astype(int))
    return [round(float(value), 5) for value in values[chosen]]
