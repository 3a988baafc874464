"""Which epoch is best: `val_recall`, with ties broken.

`val_recall` is the recall at the best threshold that keeps precision at its target. Recall at 0.5 is won by a model
that calls everything defective; this one is 0 for it. While no threshold reaches the precision, every epoch ties at 0:
then the area under the precision-recall curve says which epoch is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from steel_training.errors import SteelTrainingError

MONITOR = "val_recall"
TIE_BREAK = "val_pr_auc"
RANKED = "val_recall_ranked"
THRESHOLDS = 1000


class MonitorMissing(SteelTrainingError):
    """A metric that training watches was not reported."""


def metrics(precision: float) -> list[Any]:
    """The metrics compiled into every network; named, since an unnamed one becomes `recall_1` at the next compile."""
    return [
        keras.metrics.RecallAtPrecision(precision, num_thresholds=THRESHOLDS, name="recall"),
        keras.metrics.AUC(curve="PR", num_thresholds=THRESHOLDS, name="pr_auc"),
        keras.metrics.AUC(num_thresholds=THRESHOLDS, name="auc"),
    ]


def counts_at_half() -> list[Any]:
    """Counts of right and wrong answers at 0.5, `tp`, `fn`, `tn`, `fp`: what balanced accuracy is made from."""
    return [
        keras.metrics.TruePositives(name="tp"),
        keras.metrics.FalseNegatives(name="fn"),
        keras.metrics.TrueNegatives(name="tn"),
        keras.metrics.FalsePositives(name="fp"),
    ]


def rank(logs: Mapping[str, float]) -> float:
    """Orders epochs by recall, then by the area under the precision-recall curve.

    The second counts for a thousandth of the first: less than one defect in a validation part of up to 1,000 defects.

    Raises:
        MonitorMissing: Keras reported another name than the one that is watched.
    """
    missing = [name for name in (MONITOR, TIE_BREAK) if name not in logs]
    if missing:
        raise MonitorMissing(
            f"Training reported {sorted(logs)}, but {', '.join(missing)} is what chooses the checkpoint."
        )
    return float(logs[MONITOR]) + 1e-3 * float(logs[TIE_BREAK])
