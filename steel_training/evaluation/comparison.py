"""Two models on the same patches: the difference of their metrics, paired by group."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from steel_training.evaluation.confidence import Resamples, lower_quantile, resampled_areas
from steel_training.evaluation.metrics import Estimate, auc, average_precision, count

COMPARED = ("recall", "f2", "auc")


@dataclass(frozen=True)
class Contender:
    """A model on a part: its scores (n,), and its own operating threshold."""

    scores: np.ndarray
    threshold: float


@dataclass(frozen=True)
class Comparison:
    """Another model's figures, and ours less theirs with a one-sided lower bound."""

    theirs: dict[str, float]
    difference: dict[str, Estimate]

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values, None for what is not finite."""
        figures = {name: value if np.isfinite(value) else None for name, value in self.theirs.items()}
        return {**figures, "difference": {name: each.as_dict() for name, each in self.difference.items()}}


@dataclass(frozen=True)
class AreaAhead:
    """By how much our area under the ROC curve exceeds another's on the same patches.

    Attributes:
        ours: area of the judged model.
        theirs: of the other.
        value: the difference.
        low: lower end of its two-sided interval.
        high: upper end.
        confidence: of the interval.
    """

    ours: float
    theirs: float
    value: float
    low: float
    high: float
    confidence: float

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values, None for what is not finite."""
        return {name: value if np.isfinite(value) else None for name, value in asdict(self).items()}


def area_ahead(
    labels: np.ndarray,
    groups: np.ndarray,
    ours: np.ndarray,
    theirs: np.ndarray,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> AreaAhead:
    """Compares the areas under the ROC curve of two models: no threshold is in play. Both see the same resamples of groups.

    Args:
        labels: int (n,).
        groups: (n,).
        ours: scores (n,) of the judged model.
        theirs: scores (n,) of the other.
        confidence: of the two-sided interval.
        resamples: number of resamples.
        seed: of the resampling.
    """
    drawn = Resamples.by_group(groups, resamples, seed)
    mine, other = auc(labels, ours), auc(labels, theirs)
    samples = resampled_areas(labels, ours, drawn)[0] - resampled_areas(labels, theirs, drawn)[0]
    each_side = (1 + confidence) / 2
    low, high = lower_quantile(samples, each_side), -lower_quantile(-samples, each_side)
    return AreaAhead(mine, other, mine - other, low, high, confidence)


def compare(
    labels: np.ndarray,
    groups: np.ndarray,
    ours: Contender,
    theirs: Contender,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compares two models on a part.

    Both are judged on the same resamples of groups, so what makes one photograph harder than another drops out.

    Args:
        labels: int (n,).
        groups: (n,).
        ours: the model that is judged.
        theirs: the other.
        confidence: of the bounds.
        resamples: number of resamples.
        seed: of the resampling.
    """
    drawn = Resamples.by_group(groups, resamples, seed)
    mine, other = _figures(labels, ours), _figures(labels, theirs)
    my_samples, other_samples = _samples(labels, ours, drawn), _samples(labels, theirs, drawn)
    difference = {
        name: Estimate(mine[name] - other[name], lower_quantile(my_samples[name] - other_samples[name], confidence))
        for name in COMPARED
    }
    return Comparison(other, difference)


def _figures(labels: np.ndarray, model: Contender) -> dict[str, float]:
    found = count(labels, model.scores, model.threshold)
    return {
        "auc": auc(labels, model.scores),
        "average_precision": average_precision(labels, model.scores),
        "recall": found.recall,
        "f2": found.f2,
        "precision": found.precision if found.tp + found.fp else 0.0,  # who never calls a defect is not excused
    }


def _samples(labels: np.ndarray, model: Contender, drawn: Resamples) -> dict[str, np.ndarray]:
    called, defective = model.scores >= model.threshold, labels == 1
    tp, fn = drawn.totals(called & defective), drawn.totals(~called & defective)
    fp = drawn.totals(called & ~defective)
    areas, _ = resampled_areas(labels, model.scores, drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"recall": tp / (tp + fn), "f2": 5 * tp / (5 * tp + 4 * fn + fp), "auc": areas}
