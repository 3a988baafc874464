"""Recall-first metrics, from counts over a whole split.

Everything here is a pure function of labels and scores. Accuracy is not computed: if one patch in twenty is defective, a
model that finds nothing is 95 % accurate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Counts:
    """The confusion matrix at a threshold: defective is positive."""

    tp: int
    fn: int
    fp: int
    tn: int

    @classmethod
    def from_dict(cls, values: Mapping[str, int]) -> Counts:
        """Read the fields back."""
        return cls(**{each.name: values[each.name] for each in fields(cls)})

    @property
    def recall(self) -> float:
        """Share of the defects that are found."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def precision(self) -> float:
        """Share of the predicted positives that are defects."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def specificity(self) -> float:
        """Share of the clean patches that are predicted clean."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def false_alarms_per_1000(self) -> float:
        """False alarms among 1,000 clean patches."""
        return 1000 * _ratio(self.fp, self.fp + self.tn)

    @property
    def f2(self) -> float:
        """F-score with beta 2, from counts: 5·TP / (5·TP + 4·FN + FP)."""
        return _ratio(5 * self.tp, 5 * self.tp + 4 * self.fn + self.fp)

    def as_dict(self) -> dict[str, int]:
        """Return the four counts."""
        return asdict(self)


@dataclass(frozen=True)
class Estimate:
    """A metric on the test split, and its one-sided confidence bound; NaN if undefined.

    A lower bound for all metrics but `false_alarms_per_1000`, where it is an upper bound.
    """

    value: float
    bound: float

    def as_dict(self) -> dict[str, float | None]:
        """Return the fields as JSON values, None if not finite."""
        return {name: float(v) if np.isfinite(v) else None for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, float | None]) -> Estimate:
        """Read an estimate back, NaN for None."""
        return cls(finite_or_nan(values["value"]), finite_or_nan(values["bound"]))


def finite_or_nan(value: float | None) -> float:
    """Read a number from JSON, where null stands for one that is not finite."""
    return float("nan") if value is None else float(value)


def count(labels: np.ndarray, scores: np.ndarray, threshold: float) -> Counts:
    """Count decisions `score >= threshold` against labels (n,), 0 clean and 1 defective."""
    predicted_positive = scores >= threshold
    defective = labels == 1
    return Counts(
        tp=int(np.sum(predicted_positive & defective)),
        fn=int(np.sum(~predicted_positive & defective)),
        fp=int(np.sum(predicted_positive & ~defective)),
        tn=int(np.sum(~predicted_positive & ~defective)),
    )


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve; NaN with one class only, or if a score is not finite."""
    # Imported here, and below: most stages only read metrics, and scikit-learn takes a second of CPU time to load.
    from sklearn.metrics import roc_auc_score

    defined = len(np.unique(labels)) == 2 and np.all(np.isfinite(scores))
    return float(roc_auc_score(labels, scores)) if defined else float("nan")


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the average precision; NaN without defects, or if a score is not finite."""
    from sklearn.metrics import average_precision_score

    defined = bool(np.any(labels == 1) and np.all(np.isfinite(scores)))
    return float(average_precision_score(labels, scores)) if defined else float("nan")


def sweep(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (thresholds, recall, precision, F2), one value per distinct score, highest threshold first."""
    order = np.argsort(-scores, kind="stable")
    ranked, hit = scores[order], labels[order] == 1
    last = np.append(np.diff(ranked) != 0, True)
    tp = np.cumsum(hit)[last]
    predicted_positive = (np.arange(len(scores)) + 1)[last]
    defects = hit.sum()
    return ranked[last], tp / defects, tp / predicted_positive, 5 * tp / (4 * defects + predicted_positive)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
