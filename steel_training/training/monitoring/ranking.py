"""Ranking of epochs: `val_recall`, with ties broken by the area under the precision-recall curve.

`val_recall` is the recall at the best threshold that keeps precision at its target. Recall at 0.5 would be maximised by a model
that predicts everything as defective; this recall is 0 for it. While no threshold reaches the precision, all epochs tie at 0,
and the area under the precision-recall curve decides.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras

from steel_training.errors import SteelTrainingError

MONITOR = "val_recall"
TIE_BREAK = "val_pr_auc"
RANKED = "val_recall_ranked"
THRESHOLDS = 1000


class MonitorMissing(SteelTrainingError):
    """A metric that selects the checkpoint was not reported."""


def metrics(precision: float) -> list[keras.metrics.Metric]:
    """Return the metrics compiled into every network; named, since an unnamed one becomes `recall_1` at the next compile."""
    return [
        keras.metrics.RecallAtPrecision(precision, num_thresholds=THRESHOLDS, name="recall"),
        keras.metrics.AUC(curve="PR", num_thresholds=THRESHOLDS, name="pr_auc"),
        keras.metrics.AUC(num_thresholds=THRESHOLDS, name="auc"),
    ]


def counts_at_half() -> list[keras.metrics.Metric]:
    """Return metrics for the confusion matrix at 0.5, `tp`, `fn`, `tn`, `fp`, from which balanced accuracy is computed."""
    return [
        keras.metrics.TruePositives(name="tp"),
        keras.metrics.FalseNegatives(name="fn"),
        keras.metrics.TrueNegatives(name="tn"),
        keras.metrics.FalsePositives(name="fp"),
    ]


def rank(logs: Mapping[str, float]) -> float:
    """Return the rank of an epoch: recall, then the area under the precision-recall curve.

    The latter has a weight of 1/1000: less than one defect in a validation split of up to 1,000 defects.

    Raises:
        MonitorMissing: Keras reported a metric under another name.
    """
    missing = [name for name in (MONITOR, TIE_BREAK) if name not in logs]
    if missing:
        raise MonitorMissing(
            f"Training reported {sorted(logs)}, but {', '.join(missing)} is needed to choose the checkpoint."
        )
    return float(logs[MONITOR]) + 1e-3 * float(logs[TIE_BREAK])
