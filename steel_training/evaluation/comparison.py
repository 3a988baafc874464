"""Two models on the same patches: the difference of their metrics, paired by group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from steel_training.evaluation.confidence import Resamples, lower_quantile, resampled_areas
from steel_training.evaluation.metrics import Estimate, auc, average_precision, count, finite_or_nan

COMPARED = ("recall", "f2", "auc")
MEASURED = ("auc", "average_precision", "recall", "f2", "precision")


@dataclass(frozen=True)
class ScoredModel:
    """A model on a split: its scores (n,), and its own operating threshold."""

    scores: np.ndarray
    threshold: float


@dataclass(frozen=True)
class AucDifference:
    """By how much the area under the ROC curve of the judged model exceeds a reference model's on the same patches.

    Attributes:
        ours: area of the judged model.
        theirs: of the reference model.
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

    def as_dict(self) -> dict[str, float | None]:
        """Return the fields as JSON values, None for what is not finite."""
        return {name: value if np.isfinite(value) else None for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, float | None]) -> AucDifference:
        """Read a difference back, NaN for None."""
        return cls(**{each.name: finite_or_nan(values[each.name]) for each in fields(cls)})


@dataclass(frozen=True)
class Comparison:
    """The judged model against a reference model on the same patches, paired by group.

    Attributes:
        metrics: of the reference model, by name; NaN where it has none.
        difference: the judged model's metrics less the reference model's, with a one-sided lower bound.
        on_validation: the same for the area under the ROC curve on validation, where it was compared.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    difference: Mapping[str, Estimate] = field(default_factory=dict)
    on_validation: AucDifference | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, None for what is not finite."""
        metrics = {name: value if np.isfinite(value) else None for name, value in self.metrics.items()}
        validation = {"on_validation": self.on_validation.as_dict()} if self.on_validation else {}
        return {**metrics, "difference": {name: each.as_dict() for name, each in self.difference.items()}, **validation}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Comparison:
        """Read a comparison back, NaN for None; other keys are ignored."""
        validation = values.get("on_validation")
        return cls(
            metrics={name: finite_or_nan(values[name]) for name in MEASURED if name in values},
            difference={name: Estimate.from_dict(each) for name, each in values["difference"].items()},
            on_validation=AucDifference.from_dict(validation) if validation else None,
        )


def auc_difference(
    labels: np.ndarray,
    groups: np.ndarray,
    ours: np.ndarray,
    theirs: np.ndarray,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> AucDifference:
    """Compare the areas under the ROC curve of two models: no threshold is in play. Both see the same resamples of groups.

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
    return AucDifference(mine, other, mine - other, low, high, confidence)


def compare(
    labels: np.ndarray,
    groups: np.ndarray,
    ours: ScoredModel,
    theirs: ScoredModel,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compare two models on a split.

    Both are judged on the same resamples of groups, so differences in difficulty between source images cancel out.

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
    mine, other = _metrics(labels, ours), _metrics(labels, theirs)
    my_samples, other_samples = _samples(labels, ours, drawn), _samples(labels, theirs, drawn)
    difference = {
        name: Estimate(mine[name] - other[name], lower_quantile(my_samples[name] - other_samples[name], confidence))
        for name in COMPARED
    }
    return Comparison(other, difference)


def _metrics(labels: np.ndarray, model: ScoredModel) -> dict[str, float]:
    found = count(labels, model.scores, model.threshold)
    return {
        "auc": auc(labels, model.scores),
        "average_precision": average_precision(labels, model.scores),
        "recall": found.recall,
        "f2": found.f2,
        "precision": found.precision if found.tp + found.fp else 0.0,  # who never calls a defect is not excused
    }


def _samples(labels: np.ndarray, model: ScoredModel, drawn: Resamples) -> dict[str, np.ndarray]:
    predicted_positive, defective = model.scores >= model.threshold, labels == 1
    tp, fn = drawn.totals(predicted_positive & defective), drawn.totals(~predicted_positive & defective)
    fp = drawn.totals(predicted_positive & ~defective)
    areas, _ = resampled_areas(labels, model.scores, drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"recall": tp / (tp + fn), "f2": 5 * tp / (5 * tp + 4 * fn + fp), "auc": areas}
