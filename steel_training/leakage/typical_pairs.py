"""Evidence for alarms about a property: patches that are typical of each side in the property that separates them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from steel_training.leakage.coordinates import GRID
from steel_training.leakage.patch_pairs import Pair, side_of

_SHOWN = 4


def typical_pairs(evidence: Mapping[str, Any], profile: pd.DataFrame) -> Iterator[Pair]:
    """Yield pairs of patches with the typical value of each side; none if the evidence names no property of patches.

    Args:
        evidence: of a probe. If it names a `part`, the sides are train and that split; else clean and defective.
        profile: one row per patch, its index from 0.
    """
    column, values = _property(evidence, profile)
    if values is None:
        return
    sides = pd.to_numeric(profile["label"], errors="coerce")
    side_rows = {"clean": sides == 0, "defective": sides == 1}
    if "part" in evidence:
        side_rows = {split: profile["part"] == split for split in ("train", evidence["part"])}
    chosen = [_usual(values[rows.fillna(value=False).to_numpy(bool)]) for rows in side_rows.values()]
    how = " and ".join(f"typical {name}" for name in side_rows) + f", by {column}"
    for rows in zip(*chosen, strict=False):
        first, second = (side_of(profile, row, f"{column} {_formatted(values[row])}") for row in rows)
        yield Pair(first, second, how, "part" if "part" in evidence else "label")


def _property(evidence: Mapping[str, Any], profile: pd.DataFrame) -> tuple[str, pd.Series | None]:
    """Return name and values of the strongest property that the evidence names; values None if there is none."""
    for key in ("properties", "properties of photographs", "columns"):
        for name in evidence.get(key, ()):
            if name in profile:
                return str(name), profile[name]
    for key, (name, values_of) in _DERIVED.items():
        if key in evidence:
            return name, values_of(profile)
    for name, kinds in evidence.get("kinds", {}).items():
        if len(kinds) > 1:
            return str(name), profile[name]
    return "packing", profile["packing"] if "kinds" in evidence else None


def _places(profile: pd.DataFrame, grid: int | None) -> pd.Series:
    x, y = (pd.to_numeric(profile[name], errors="coerce").astype("Int64") for name in ("x", "y"))
    if grid is not None:
        x, y = x % grid, y % grid
    return x.astype("string") + ", " + y.astype("string")


_DERIVED: Mapping[str, tuple[str, Callable[[pd.DataFrame], pd.Series]]] = {
    "usual place on the grid": ("place on the grid", lambda profile: _places(profile, GRID)),
    "usual place in the photograph": ("place", lambda profile: _places(profile, None)),
    "usual name": ("file", lambda profile: profile["path"].str.replace(r"[^/]*$", "", regex=True) + "…"),
    "usually written": ("written", lambda profile: pd.to_datetime(profile["modified"].round(), unit="s")),
}
"""Properties derived from columns, by their evidence key."""


def _usual(values: pd.Series) -> list[int]:
    """Return rows near the median, or with the most frequent value."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        known = values.dropna()
        return [int(row) for row in (known - known.median()).abs().sort_values(kind="stable").index[:_SHOWN]]
    text = values.astype("string").fillna("")
    return [int(row) for row in text.index[text == text.mode().iloc[0]][:_SHOWN]] if len(text) else []


def _formatted(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
