"""A model by the labels of the test split before and after people corrected them: the same scores, at the same threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from steel_training.evaluation.metrics import Counts, auc, count, finite_or_nan


@dataclass(frozen=True)
class ByLabels:
    """Counts and metrics by one set of labels; a metric that is undefined is NaN."""

    counts: Counts
    metrics: Mapping[str, float]

    @property
    def missed(self) -> str:
        """How many of the defects are missed."""
        return f"{self.counts.fn:,} of {self.counts.tp + self.counts.fn:,}"

    @property
    def false_alarms(self) -> str:
        """How many of the clean patches are predicted defective."""
        return f"{self.counts.fp:,} of {self.counts.tn + self.counts.fp:,}"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, None for NaN."""
        metrics = {name: value if np.isfinite(value) else None for name, value in self.metrics.items()}
        return {"counts": self.counts.as_dict(), "metrics": metrics}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ByLabels:
        """Read the fields back."""
        metrics = {name: finite_or_nan(value) for name, value in values["metrics"].items()}
        return cls(Counts.from_dict(values["counts"]), metrics)


@dataclass(frozen=True)
class CorrectedLabels:
    """What correcting labels of the test split did to the metrics.

    Attributes:
        to_defective: labels of the test split that were clean before.
        to_clean: those that were defective before.
        before: by the labels before; None where they are not known.
        after: by the labels as they are, on which the verdict rests.
        problem: why the labels before are not known; empty where they are.
    """

    to_defective: int = 0
    to_clean: int = 0
    before: ByLabels | None = None
    after: ByLabels | None = None
    problem: str = ""

    @property
    def sentence(self) -> str:
        """What was corrected, or why it is not known."""
        if self.problem:
            return f"The metrics by the labels before their correction are not known: {self.problem} The verdict does not depend on it."
        corrected = self.to_defective + self.to_clean
        return (
            f"Blind review corrected {corrected:,} label{'s' * (corrected != 1)} of the test split: {self.to_defective:,} from clean to "
            f"defective, {self.to_clean:,} from defective to clean. The same scores at the same operating threshold, judged by the labels "
            "before and after; the verdict rests on the corrected labels."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {
            "to_defective": self.to_defective,
            "to_clean": self.to_clean,
            "before": self.before.as_dict() if self.before else None,
            "after": self.after.as_dict() if self.after else None,
            "problem": self.problem,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CorrectedLabels:
        """Read the fields back."""
        before, after = (ByLabels.from_dict(values[key]) if values[key] else None for key in ("before", "after"))
        return cls(values["to_defective"], values["to_clean"], before, after, values["problem"])


def judge_by_both(before: np.ndarray, after: np.ndarray, scores: np.ndarray, threshold: float) -> CorrectedLabels:
    """Judge scores by two sets of labels.

    Args:
        before: int (n,), 0 or 1.
        after: int (n,), of the same patches.
        scores: float (n,), finite.
        threshold: the operating threshold, which validation has given with the labels after.
    """
    return CorrectedLabels(
        to_defective=int(np.sum(after > before)),
        to_clean=int(np.sum(after < before)),
        before=_judged(before, scores, threshold),
        after=_judged(after, scores, threshold),
    )


def _judged(labels: np.ndarray, scores: np.ndarray, threshold: float) -> ByLabels:
    counts = count(labels, scores, threshold)
    metrics = {"recall": counts.recall, "f2": counts.f2, "precision": counts.precision, "auc": auc(labels, scores)}
    return ByLabels(counts, metrics)
