"""Metrics of the test split by line, defect type, or any other column of the manifest, where there are enough defects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pandas as pd

from steel_training.evaluation.confidence import Resamples
from steel_training.evaluation.estimates import proportions
from steel_training.evaluation.metrics import Estimate

_NONE = Estimate(float("nan"), float("nan"))


class StoredSlice(TypedDict):
    """A slice as JSON holds it."""

    column: str
    value: str
    patches: int
    defects: int
    supported: bool
    recall: dict[str, float | None]
    precision: dict[str, float | None]
    false_alarms_per_1000: dict[str, float | None]


@dataclass(frozen=True)
class Slice:
    """The patches of one value of a column.

    Attributes:
        column: of the manifest.
        value: as text.
        patches: number in the test split.
        defects: among them.
        supported: whether there are enough defects to judge it.
        recall: NaN without defects.
        precision: NaN where the slice holds one class only.
        false_alarms_per_1000: NaN without clean patches, as for a defect type.
    """

    column: str
    value: str
    patches: int
    defects: int
    supported: bool
    recall: Estimate
    precision: Estimate = _NONE
    false_alarms_per_1000: Estimate = _NONE

    def as_dict(self) -> StoredSlice:
        """Return the fields as JSON values."""
        return {
            "column": self.column,
            "value": self.value,
            "patches": self.patches,
            "defects": self.defects,
            "supported": self.supported,
            "recall": self.recall.as_dict(),
            "precision": self.precision.as_dict(),
            "false_alarms_per_1000": self.false_alarms_per_1000.as_dict(),
        }

    @classmethod
    def from_dict(cls, values: StoredSlice) -> Slice:
        """Read a slice back."""
        return cls(
            column=values["column"],
            value=values["value"],
            patches=values["patches"],
            defects=values["defects"],
            supported=values["supported"],
            recall=Estimate.from_dict(values["recall"]),
            precision=Estimate.from_dict(values["precision"]),
            false_alarms_per_1000=Estimate.from_dict(values["false_alarms_per_1000"]),
        )


def slices_of(
    patches: pd.DataFrame,
    columns: Sequence[str],
    labels: np.ndarray,
    predicted_positive: np.ndarray,
    groups: np.ndarray,
    *,
    min_defects: int,
    confidence: float,
    resamples: int,
    seed: int,
) -> list[Slice]:
    """Judge every value of the columns separately; patches without a value are in no slice.

    Args:
        patches: rows of the test split.
        columns: to slice by.
        labels: int (n,).
        predicted_positive: bool (n,), predicted defective.
        groups: (n,).
        min_defects: smallest number of defects of a supported slice.
        confidence: of the bounds.
        resamples: number of them behind the bounds.
        seed: of the resampling.
    """
    found = []
    for column in columns:
        values = _values(patches[column])
        for value in sorted(values.dropna().unique()):
            inside = (values == value).fillna(False).to_numpy(bool)
            truth, predicted = labels[inside], predicted_positive[inside]
            drawn = Resamples.by_group(groups[inside], resamples, seed)
            shares = proportions(truth, predicted, drawn, confidence)
            defects = int(truth.sum())
            found.append(
                Slice(
                    column=column,
                    value=str(value),
                    patches=len(truth),
                    defects=defects,
                    supported=defects >= min_defects,
                    recall=shares["recall"],
                    precision=shares["precision"] if 0 < defects < len(truth) else _NONE,
                    false_alarms_per_1000=shares["false_alarms_per_1000"],
                )
            )
    return found


def worst(slices: Sequence[Slice]) -> Slice | None:
    """Return the supported slice of lowest recall; `None` where none is supported."""
    return min((each for each in slices if each.supported), key=lambda each: each.recall.value, default=None)


def _values(column: pd.Series) -> pd.Series:
    text = column.astype("string").str.strip()
    return text.where(text != "")
