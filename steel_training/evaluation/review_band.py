"""The review band: what passes and what is rejected without a look, and the scores between that a person looks at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, nextafter
from typing import Any

import numpy as np

from steel_training.evaluation.metrics import sweep
from steel_training.evaluation.threshold import standard_errors_above

NOTHING_PASSES, NOTHING_IS_REJECTED = 0.0, nextafter(1.0, 2.0)


@dataclass(frozen=True)
class ReviewBand:
    """Scores below `low` pass, from `high` on they are rejected, a person sees those between."""

    low: float
    high: float
    note: str


@dataclass(frozen=True)
class Reviewed:
    """What a band means on a part: patches passed, reviewed and rejected, the share to look at, and what it costs.

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

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return asdict(self)


def choose_band(
    labels: np.ndarray, scores: np.ndarray, threshold: float, *, recall: float, precision: float, margin: float
) -> ReviewBand:
    """Chooses the band around the operating threshold, on validation.

    Passing without a look must leave `recall`, and of what is rejected without a look `precision` must be defective,
    each exceeded by `margin` standard errors. The band is the narrowest that does; an end that validation cannot
    support is open: nothing passes, or nothing is rejected, without a look.

    Args:
        labels: int (n,), both classes.
        scores: float (n,), 0 to 1.
        threshold: operating threshold.
        recall: that passing leaves.
        precision: of the rejected.
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
            f"nothing passes without a look: {defects} defects of validation cannot show a recall of {recall:g}"
            + (f" with the margin; about {needed} would" if needed is not None else "")
        )
    sure = (standard_errors_above(precisions, precision, predicted_positive) >= margin) & (
        precisions >= precision - 1e-12
    )
    sure &= thresholds >= threshold  # precision may fall again above a threshold that had it
    high = float(thresholds[sure].min()) if sure.any() else NOTHING_IS_REJECTED
    if not sure.any():
        notes.append(f"nothing is rejected without a look: no score shows a precision of {precision:g} with the margin")
    return ReviewBand(low, high, "; ".join(notes) or "both ends meet their share on validation with the margin")


def apply_band(band: ReviewBand, labels: np.ndarray, scores: np.ndarray) -> Reviewed:
    """Counts what the band does to a part: labels (n,), scores (n,)."""
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
