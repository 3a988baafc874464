"""Calibration of the scores after correcting for the shift that the class weights cause."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import log

import numpy as np

from steel_training.config import ClassWeights

BINS = 10
_EDGE = 1e-7


@dataclass(frozen=True)
class Bin:
    """Patches of similar probability: range, mean predicted probability, observed share of defects, number of patches."""

    low: float
    high: float
    predicted: float
    observed: float
    patches: int


@dataclass(frozen=True)
class Calibration:
    """Reliability of the probabilities: logit shift that was undone, expected calibration error, and the bins behind it."""

    shift: float
    ece: float
    bins: tuple[Bin, ...]

    def as_dict(self) -> dict[str, float | list[dict[str, float]]]:
        """Return the fields as JSON values."""
        return {"shift": self.shift, "ece": self.ece, "bins": [asdict(each) for each in self.bins]}


def shift_of(weights: ClassWeights) -> float:
    """Return the logit shift that the class weights cause: ln(defective / clean), ln 4 by default."""
    return log(weights.defective / weights.clean)


def probability(scores: np.ndarray, shift: float) -> np.ndarray:
    """Undo the shift: sigmoid(logit(score) − shift), float (n,). Scores are clipped away from 0 and 1 first."""
    clipped = np.clip(np.asarray(scores, float), _EDGE, 1 - _EDGE)
    odds = clipped / (1 - clipped) * np.exp(-shift)
    return np.asarray(odds / (1 + odds))


def calibration(labels: np.ndarray, probabilities: np.ndarray, shift: float) -> Calibration:
    """Bin the probabilities and compare them with the labels.

    The bins are quantiles: most patches are clean and score near 0, so that of equal-width bins all but two would hold too few
    patches. Equal probabilities stay in one bin, so there may be fewer bins.

    Args:
        labels: int (n,).
        probabilities: float (n,), 0 to 1.
        shift: logit shift that was undone; only stored.
    """
    edges = np.unique(np.quantile(probabilities, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    which = np.searchsorted(edges, probabilities, side="left")
    bins = []
    for number in np.unique(which):
        inside = which == number
        values = probabilities[inside]
        bins.append(
            Bin(
                float(values.min()),
                float(values.max()),
                float(values.mean()),
                float(np.mean(labels[inside] == 1)),
                int(inside.sum()),
            )
        )
    ece = sum(each.patches * abs(each.predicted - each.observed) for each in bins) / len(labels)
    return Calibration(shift, float(ece), tuple(bins))
