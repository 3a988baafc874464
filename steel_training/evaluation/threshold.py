"""Chooses the operating threshold on validation alone, with a margin for sampling error."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, floor

import numpy as np

from steel_training.errors import SteelTrainingError
from steel_training.evaluation.metrics import sweep


class NoOperatingThreshold(SteelTrainingError):
    """Validation does not support the choice of a threshold: the run ends as rejected.

    Attributes:
        code: reason code for report and registry.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class OperatingThreshold:
    """The operating threshold, and its metrics on validation.

    Attributes:
        value: patches with at least this score are predicted defective.
        val_recall: recall on validation.
        val_precision: precision on validation.
        val_f2: F2 on validation.
        room: margin on validation: standard errors by which both targets are exceeded; negative if one is missed.
        note: how it was chosen, for the report.
    """

    value: float
    val_recall: float
    val_precision: float
    val_f2: float
    room: float
    note: str

    def as_dict(self) -> dict[str, float | str]:
        """Return the fields as JSON values."""
        return asdict(self)


def choose_threshold(
    labels: np.ndarray, scores: np.ndarray, *, recall: float, precision: float, margin: float
) -> OperatingThreshold:
    """Choose the operating threshold on validation.

    A threshold that just meets a target on validation misses it on every second new sample. So both recall and precision must
    exceed their targets by `margin` standard errors (of the difference between two samples of this size); among the
    thresholds that do, the one with the best F2 is chosen. If none does, the one that maximises the smaller of the
    two margins. If none meets both targets, recall comes first: the best precision among those that meet it.

    Args:
        labels: int (n,), 0 or 1.
        scores: float (n,), finite.
        recall: recall target; 0 for none.
        precision: precision target; 0 for none.
        margin: standard errors, ≥ 0.

    Raises:
        NoOperatingThreshold: a class is missing, scores are not finite or all equal, or there are too few defects to
            resolve the recall target.
    """
    defects = int(np.sum(labels == 1))
    _check(labels, scores, defects, recall)
    thresholds, recalls, precisions, f2 = sweep(labels, scores)
    predicted_positive = np.maximum(recalls * defects / np.maximum(precisions, 1e-12), 1.0)
    margins = np.minimum(
        standard_errors_above(recalls, recall, defects),
        standard_errors_above(precisions, precision, predicted_positive),
    )
    enough = recalls >= recall - 1e-12
    if (margins >= margin).any():
        chosen = int(np.argmax(np.where(margins >= margin, f2, -1.0)))
        errors = "error" if margin == 1 else "errors"
        note = f"best F2 among those that exceed both targets by {margin:g} standard {errors}"
    elif (margins >= 0).any():
        chosen = int(np.argmax(margins))
        # Rounded down: a margin of 0.97 is not "1.0 instead of 1".
        note = f"both targets are met, by {floor(100 * margins[chosen]) / 100:g} standard errors instead of {margin:g}"
    else:
        chosen = int(np.argmax(np.where(enough, precisions, -1.0)))
        note = "recall is met; no threshold meets precision too"
    return OperatingThreshold(
        value=float(thresholds[chosen]),
        val_recall=float(recalls[chosen]),
        val_precision=float(precisions[chosen]),
        val_f2=float(f2[chosen]),
        room=float(margins[chosen]),
        note=note,
    )


def min_defects_to_resolve(recall: float) -> int:
    """Return how many defects resolve a recall target: with fewer than 1/(1 − recall), a single miss already fails it.

    20 for 0.95. A target of 1 cannot be resolved, and needs only one.
    """
    return 1 if recall >= 1.0 else ceil(1 / (1 - recall) - 1e-9)


def _check(labels: np.ndarray, scores: np.ndarray, defects: int, recall: float) -> None:
    if defects in (0, len(labels)):
        raise NoOperatingThreshold(
            "gate.not_enough_evidence",
            f"Validation has {defects} defects among {len(labels)} patches; both classes are needed to choose a "
            "threshold: check the splits, or add patches of the missing class.",
        )
    if not np.all(np.isfinite(scores)):
        raise NoOperatingThreshold(
            "gate.not_finite",
            f"{int(np.sum(~np.isfinite(scores)))} of {len(scores)} validation scores are not finite; expected numbers "
            "from 0 to 1. Train again at a lower learning rate.",
        )
    if np.ptp(scores) < 1e-6:
        raise NoOperatingThreshold(
            "collapse.constant_score",
            f"All {len(scores)} validation scores are the same ({float(scores[0]):.4f}); the model has collapsed. "
            "Check labels and learning rates.",
        )
    if defects < min_defects_to_resolve(recall):
        raise NoOperatingThreshold(
            "gate.not_enough_evidence",
            f"Validation has {defects} defects; with fewer than {min_defects_to_resolve(recall)} a single miss already fails the "
            f"recall target of {recall:.2f}, and no threshold can be chosen for it. Add defective patches, or raise "
            "data.val_share.",
        )


def standard_errors_above(values: np.ndarray, target: float, of: np.ndarray | int) -> np.ndarray:
    """Return by how many standard errors a proportion of `of` trials exceeds its target; 99 if there is no target."""
    if target <= 0:
        return np.full(len(values), 99.0)
    error = np.sqrt(2 * max(target * (1 - target), 1e-4) / of)
    return np.asarray((values - target + 1e-12) / error)
