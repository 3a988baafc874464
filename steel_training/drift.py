"""Whether the patches of today look like those the champion learned from.

Population stability index: PSI = Σ (p − q) ln(p / q) over bins, p of the champion's dataset and q of this one, read as usual in
scoring: below 0.1 stable, up to 0.25 shifted, above it drifted (Siddiqi 2006, "Credit Risk Scorecards"). It needs no images of
the champion's: a small summary of histograms in its bundle is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

SUMMARY = "profile_summary.json"
STABLE_BELOW, DRIFTED_ABOVE = 0.1, 0.25
# A tenth of the champion's patches a bin, as far as the fine bins of the summary allow.
_BINS = 10

EDGES: Mapping[str, np.ndarray] = {
    "brightness": np.linspace(0, 255, 86),
    "contrast": np.linspace(0, 128, 65),
    # The variance of the Laplacian spans powers of ten.
    "sharpness": np.concatenate([[0.0], np.logspace(-1, 5, 73)]),
}
"""Edges of the fine bins of a summary, grey values; of sharpness grey values squared. What lies outside counts in the last."""

SHARES = ("class", "size", "format")


class Reading(StrEnum):
    """How a population stability index is read."""

    STABLE = "stable"
    SHIFTED = "shifted"
    DRIFTED = "drifted"


@dataclass(frozen=True)
class Drift:
    """One property compared.

    Attributes:
        name: of the property.
        psi: population stability index, ≥ 0.
        chance: what two samples of these sizes from one population would show on average, (bins − 1)(1/n + 1/m)
            (Yurdakul 2018); patches of one coil are alike, so the truth is higher.
        reading: of `psi`.
    """

    name: str
    psi: float
    chance: float
    reading: Reading

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {**asdict(self), "reading": str(self.reading)}


def summarise(profile: pd.DataFrame) -> dict[str, Any]:
    """Returns what is kept of a profile: histograms and shares, a few kilobytes for any number of patches.

    Args:
        profile: one row a patch; columns brightness, contrast, sharpness, label, width, height and format where known.

    Returns:
        JSON values: `patches`, `histograms` {property: counts between `EDGES`}, `shares` {class|size|format: {value: count}}.
    """
    histograms = {}
    for name, edges in EDGES.items():
        column = profile[name] if name in profile else pd.Series(dtype=float)
        values = pd.to_numeric(column, errors="coerce").dropna().to_numpy(float)
        histograms[name] = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist()
    shares = {"class": _counts(profile, "label"), "format": _counts(profile, "format"), "size": {}}
    if {"width", "height"} <= set(profile):
        known = profile.dropna(subset=["width", "height"])
        sizes = known["width"].astype(int).astype(str) + "×" + known["height"].astype(int).astype(str)
        shares["size"] = {str(size): int(count) for size, count in sizes.value_counts().items()}
    return {"patches": len(profile), "histograms": histograms, "shares": shares}


def compare(champion: Mapping[str, Any], ours: Mapping[str, Any]) -> list[Drift]:
    """Compares two summaries, property by property; one that either lacks is left out.

    Args:
        champion: summary of the dataset the champion learned from.
        ours: summary of this one.
    """
    found = []
    for name in EDGES:
        before, now = (np.asarray(side.get("histograms", {}).get(name, ()), float) for side in (champion, ours))
        if len(before) == len(now) and before.sum() and now.sum():
            starts = _coarse(before)
            found.append(_drift(name, np.add.reduceat(before, starts), np.add.reduceat(now, starts)))
    for name in SHARES:
        before_of, now_of = (side.get("shares", {}).get(name) or {} for side in (champion, ours))
        if before_of and now_of:
            values = sorted({*before_of, *now_of})
            counts = (np.array([side.get(value, 0) for value in values], float) for side in (before_of, now_of))
            found.append(_drift(name, *counts))
    return found


def population_stability(before: np.ndarray, now: np.ndarray) -> float:
    """Returns the population stability index of counts (bins,) against counts (bins,), each of which adds up to more than 0.

    Half a patch is added to every bin: an empty one would make the index infinite.
    """
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (before, now))
    return float(np.sum((p - q) * np.log(p / q)))


def reading_of(psi: float) -> Reading:
    """Reads an index; what is no number is no stability."""
    if psi < STABLE_BELOW:
        return Reading.STABLE
    return Reading.SHIFTED if psi <= DRIFTED_ABOVE else Reading.DRIFTED


def _drift(name: str, before: np.ndarray, now: np.ndarray) -> Drift:
    psi = population_stability(before, now)
    chance = (len(before) - 1) * (1 / before.sum() + 1 / now.sum())
    return Drift(name, psi, float(chance), reading_of(psi))


def _coarse(counts: np.ndarray) -> np.ndarray:
    """Returns where coarse bins start, so that each holds about a tenth of the counts."""
    reached = np.floor(np.cumsum(counts) / counts.sum() * _BINS * (1 - 1e-12))
    return np.append(0, np.flatnonzero(np.diff(reached) > 0) + 1)


def _counts(profile: pd.DataFrame, column: str) -> dict[str, int]:
    if column not in profile:
        return {}
    return {str(value): int(count) for value, count in profile[column].dropna().value_counts().items()}
