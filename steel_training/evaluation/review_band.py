"""The review band: scores that a person reviews, between those that pass and those that are rejected automatically."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, nextafter

import numpy as np

from steel_training.evaluation.metrics import sweep
from steel_training.evaluation.threshold import standard_errors_above

NOTHING_PASSES, NOTHING_IS_REJECTED = 0.0, nextafter(1.0, 2.0)


@dataclass(frozen=True)
class ReviewBand:
    """Scores below `low` pass, scores from `high` on are rejected, and a person reviews those between."""

    low: float
    high: float
    note: str


@dataclass(frozen=True)
class Reviewed:
    """Effect of a band on a split: patches passed, reviewed and rejected, the share to review, and the errors.

    `missed_below` are defects among the passed, `false_above` clean patches among the rejected.
    """

    low: float
    high: float
    passed: int
    reviewed: int
    rejected: int
    share: float
    missed_below: int
    false_above: int
    note: str

    def as_dict(self) -> dict[str, float | str]:
        """Return the fields as JSON values."""
        return asdict(self)


def choose_band(
    labels: np.ndarray, scores: np.ndarray, threshold: float, *, recall: float, precision: float, margin: float
) -> ReviewBand:
    """Choose the band around the operating threshold, on validation.

    Automatic passing must keep `recall`, and automatic rejection must have `precision`, each exceeded by `margin` standard
    errors. The band is the narrowest one that satisfies both; an end that validation cannot support stays open: nothing
    passes, or nothing is rejected, without review.

    Args:
        labels: int (n,), both classes.
        scores: float (n,), 0 to 1.
        threshold: operating threshold.
        recall: to keep when patches pass automatically.
        precision: of the automatically rejected.
        margin: standard errors, ≥ 0.
    """
    defects = int(np.sum(labels == 1))
    thresholds, recalls, precisions, _ = sweep(labels, scores)
    predicted_positive = np.maximum(recalls * defects / np.maximum(precisions, 1e-12), 1.0)
    notes = []
    leaves = (standard_errors_above(recalls, recall, defects) >= margin) & (recalls >= recall - 1e-12)
    low = min(float(thresholds[leaves].max()), threshold) if leaves.any() else NOTHING_PASSES
    if not leaves.any():
        needed = ceil(2 * margin**2 * recall / (1 - recall)) if recall < 1 else None
        notes.append(
            f"nothing passes without review: {defects} defects of validation cannot show a recall of {recall:g}"
            + (f" with the margin; about {needed} would" if needed is not None else "")
        )
    sure = (standard_errors_above(precisions, precision, predicted_positive) >= margin) & (
        precisions >= precision - 1e-12
    )
    sure &= thresholds >= threshold  # precision may drop again above a threshold that reaches it
    high = float(thresholds[sure].min()) if sure.any() else NOTHING_IS_REJECTED
    if not sure.any():
        notes.append(f"nothing is rejected without review: no score shows a precision of {precision:g} with the margin")
    return ReviewBand(low, high, "; ".join(notes) or "both ends meet their target on validation with the margin")


def apply_band(band: ReviewBand, labels: np.ndarray, scores: np.ndarray) -> Reviewed:
    """Count the effect of the band on a split: labels (n,), scores (n,)."""
    passed, rejected = scores < band.low, scores >= band.high
    reviewed = int(np.sum(~passed & ~rejected))
    return Reviewed(
        low=band.low,
        high=band.high,
        passed=int(passed.sum()),
        reviewed=reviewed,
        rejected=int(rejected.sum()),
        share=reviewed / len(scores),
        missed_below=int(np.sum(passed & (labels == 1))),
        false_above=int(np.sum(rejected & (labels == 0))),
        note=band.note,
    )
