"""The columns of a manifest: those of the input contract, those that a run adds, and further ones, which it knows nothing about."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from steel_training.errors import UsageError

REQUIRED_COLUMNS = ("patch_id", "path", "label", "source_id")
CONTRACT_COLUMNS = (*REQUIRED_COLUMNS, "group_id", "split", "x", "y", "defect_type")
TEXT_COLUMNS = ("patch_id", "path", "source_id", "group_id", "split", "defect_type", "line")
RUN_COLUMNS = ("part", "group")
"""Split and group of a patch; `resolve_dataset` adds them."""

FEWEST_VALUES, MOST_VALUES = 2, 20
"""Distinct values of a column by which a test split is sliced without being asked to."""


class SliceColumnMissing(UsageError):
    """`slices.columns` names a column that the manifest lacks."""


def further_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns, in order, that neither the contract names nor a run adds, such as `line` or `captured_at`."""
    return [name for name in map(str, table) if name not in CONTRACT_COLUMNS and name not in RUN_COLUMNS]


def slice_columns(manifest: pd.DataFrame, named: Sequence[str]) -> list[str]:
    """Return the columns to slice by: those named, else `defect_type` and further ones of 2 to 20 distinct values.

    Raises:
        SliceColumnMissing: a named one is not in the manifest.
    """
    missing = [column for column in named if column not in manifest]
    if missing:
        raise SliceColumnMissing(
            f"slices.columns names {', '.join(missing)}, but the manifest has only {', '.join(map(str, manifest))}. "
            "Name columns of the manifest."
        )
    if named:
        return list(dict.fromkeys(named))
    candidates = {"defect_type", *further_columns(manifest)}
    return [
        column
        for column in map(str, manifest)
        if column in candidates and FEWEST_VALUES <= _distinct(manifest[column]) <= MOST_VALUES
    ]


def _distinct(column: pd.Series) -> int:
    text = column.astype("string").str.strip()
    return int(text[text != ""].nunique())
