"""What recall costs in false alarms, and what precision costs in recall, at the thresholds that scores allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steel_training.evaluation.metrics import Counts, count, sweep


@dataclass(frozen=True)
class TradeOff:
    """The two ends between which an operating threshold stands.

    Attributes:
        at_recall: counts at the highest threshold that reaches a recall; `None` where none does.
        at_precision: counts at the lowest threshold that has a precision, so with the highest recall; `None` where none has.
    """

    at_recall: Counts | None
    at_precision: Counts | None


def trade_off(labels: np.ndarray, scores: np.ndarray, *, recall: float, precision: float) -> TradeOff:
    """Find the counts at the thresholds that just reach a recall, and that just keep a precision.

    It is told, and nothing is chosen by it: thresholds are chosen on validation (`threshold.py`).

    Args:
        labels: int (n,), 0 or 1; without a defect there is no trade-off.
        scores: float (n,), finite.
        recall: to be reached, 0 to 1.
        precision: to be kept, 0 to 1.
    """
    if not np.any(labels == 1):
        return TradeOff(None, None)
    thresholds, recalls, precisions, _ = sweep(labels, scores)
    enough, precise = np.flatnonzero(recalls >= recall - 1e-12), np.flatnonzero(precisions >= precision - 1e-12)
    return TradeOff(
        count(labels, scores, thresholds[enough[0]]) if len(enough) else None,
        count(labels, scores, thresholds[precise[-1]]) if len(precise) else None,
    )
