"""Whether the patches of today look like those the champion learned from.

Population stability index: PSI = Σ (p − q) ln(p / q) over bins, p of the champion's dataset and q of this one, read as usual in
scoring: below 0.1 stable, up to 0.25 shifted, above it drifted (Siddiqi 2006, "Credit Risk Scorecards"). It needs no images of
the champion's: a small summary of histograms in its bundle is enough.

Patches of one coil are alike, so two honest samples of few coils differ by more than their numbers of patches suggest. What they
differ by is found by drawing whole groups, and only what exceeds it is called drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from steel_training.data.splits import SPLITS

SUMMARY = "profile_summary.json"
STABLE_BELOW, DRIFTED_ABOVE = 0.1, 0.25
WHOLE = "all"
"""Name of the dataset as a whole, beside its parts."""
# A tenth of the champion's patches a bin, as far as the fine bins of the summary allow.
_BINS = 10
_DRAWS, _BY_CHANCE, _SEED = 400, 0.99, 20
_FEWEST_GROUPS, _MOST_GROUPS = 5, 2000

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
    """One property of one part compared.

    Attributes:
        name: of the property.
        part: train, val, test, or `WHOLE`.
        psi: population stability index, ≥ 0.
        chance: what two samples of so many groups from one population stay below in 99 of 100 cases; None where there are
            fewer than five groups to draw from.
        reading: of `psi`; stable where chance explains it.
    """

    name: str
    part: str
    psi: float
    chance: float | None
    reading: Reading

    @property
    def beyond_chance(self) -> float:
        """`psi` where chance does not explain it, else 0."""
        return 0.0 if self.chance is None or self.psi <= self.chance else self.psi

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {**asdict(self), "reading": str(self.reading)}


@dataclass(frozen=True)
class Comparison:
    """A dataset held against that of the champion.

    Attributes:
        champion: its version; None before the first.
        note: why nothing could be compared; empty where it was.
        properties: what was compared.
    """

    champion: str | None
    note: str
    properties: tuple[Drift, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        found = [each.as_dict() for each in self.properties]
        return {"champion": self.champion, "note": self.note, "properties": found}


def summarise(profile: pd.DataFrame) -> dict[str, Any]:
    """Returns what is kept of a profile: histograms and shares, a few kilobytes for any number of patches.

    Args:
        profile: one row a patch; columns brightness, contrast, sharpness, label, width, height, format and group where known.

    Returns:
        JSON values: `patches`, `groups`, `histograms` {property: counts between `EDGES`}, `shares` {class|size|format:
        {value: count}}.
    """
    histograms, shares = {}, {name: {} for name in SHARES}  # type: tuple[dict[str, Any], dict[str, dict[str, int]]]
    for name, edges in EDGES.items():
        bins = _bins(profile, name, edges)
        histograms[name] = np.bincount(bins[bins >= 0], minlength=len(edges) - 1).tolist()
    for name in SHARES:
        values = _values(profile, name).dropna()
        shares[name] = {str(value): int(count) for value, count in values.value_counts().items()}
    return {"patches": len(profile), "groups": _groups(profile).nunique(), "histograms": histograms, "shares": shares}


def compare(champion: Mapping[str, Any], profile: pd.DataFrame) -> list[Drift]:
    """Compares a profile with the champion's summary, property by property, as a whole and by part.

    A property that either lacks is left out, and so is a part without patches.

    Args:
        champion: summary of the dataset the champion learned from.
        profile: as `summarise` takes it, with the column `part` where parts are known.
    """
    groups, names = pd.factorize(_groups(profile))
    parts = {WHOLE: np.ones(len(profile), bool)}
    if "part" in profile:
        of_part = profile["part"].astype("string").fillna("").to_numpy(str)
        parts |= {part: of_part == part for part in SPLITS}
    drawn = _Groups(groups, len(names), _champion_groups(champion, len(profile), len(names)))
    return [
        drift
        for name, before, bins in _comparable(champion, profile)
        for part, rows in parts.items()
        if (drift := drawn.compare(name, part, before, np.where(rows, bins, -1), bins)) is not None
    ]


def population_stability(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Returns the population stability index of counts (..., bins) against counts (..., bins), float (...).

    Half a patch is added to every bin: an empty one would make the index infinite. No side may add up to 0.
    """
    p, q = (
        (counts + 0.5) / (counts.sum(axis=-1, keepdims=True) + 0.5 * counts.shape[-1])
        for counts in (np.asarray(before, float), np.asarray(now, float))
    )
    return np.asarray(np.sum((p - q) * np.log(p / q), axis=-1))


def reading_of(psi: float) -> Reading:
    """Reads an index; what is no number is no stability."""
    if psi < STABLE_BELOW:
        return Reading.STABLE
    return Reading.SHIFTED if psi <= DRIFTED_ABOVE else Reading.DRIFTED


@dataclass(frozen=True)
class _Groups:
    """The groups that stand for the population: which rows are theirs (n,), how many, and how many the champion had."""

    of_row: np.ndarray
    number: int
    of_champion: int

    def compare(
        self, name: str, part: str, before: np.ndarray, part_bins: np.ndarray, bins: np.ndarray
    ) -> Drift | None:
        """Compares one property: the champion's counts (bins,), the bins of the part's rows and of all rows, −1 for none."""
        inside = part_bins >= 0
        if not inside.any():
            return None
        now = np.bincount(part_bins[inside], minlength=len(before))
        psi = float(population_stability(before, now))
        chance = self._chance(len(before), bins, len(np.unique(self.of_row[inside])))
        explained = chance is not None and psi <= chance
        return Drift(name, part, psi, chance, Reading.STABLE if explained else reading_of(psi))

    def _chance(self, width: int, bins: np.ndarray, drawn: int) -> float | None:
        """The index between samples of as many whole groups as the champion had, and as the part has, of all groups here."""
        known = (bins >= 0) & (self.of_row >= 0)
        if self.number < _FEWEST_GROUPS:
            return None
        counts = np.bincount(self.of_row[known] * width + bins[known], minlength=self.number * width)
        counts = counts.reshape(self.number, width).astype(float)
        random = np.random.default_rng(_SEED)
        if self.number > _MOST_GROUPS:  # so many stand for all of them well enough, and drawing stays cheap
            counts = counts[random.choice(self.number, _MOST_GROUPS, replace=False)]
        even = np.full(len(counts), 1 / len(counts))
        # One group fewer than there are: drawing with replacement understates what so few groups differ by (Rao and Wu 1988).
        sides = [random.multinomial(max(1, size - 1), even, _DRAWS) @ counts for size in (self.of_champion, drawn)]
        filled = (sides[0].sum(axis=1) > 0) & (sides[1].sum(axis=1) > 0)
        if not filled.any():
            return None
        return float(np.quantile(population_stability(sides[0][filled], sides[1][filled]), _BY_CHANCE))


def _comparable(champion: Mapping[str, Any], profile: pd.DataFrame) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Gives each property that both know: its name, the champion's counts (bins,), and the bin of every row (n,), −1 for none."""
    for name, edges in EDGES.items():
        before = np.asarray(champion.get("histograms", {}).get(name, ()), float)
        bins = _bins(profile, name, edges)
        if len(before) == len(edges) - 1 and before.sum() and (bins >= 0).any():
            starts = _coarse(before)
            coarse = np.searchsorted(starts, bins, side="right") - 1
            yield name, np.add.reduceat(before, starts), np.where(bins >= 0, coarse, -1)
    for name in SHARES:
        known = champion.get("shares", {}).get(name) or {}
        values = _values(profile, name)
        if known and values.notna().any():
            every = sorted({*known, *values.dropna().unique()})
            codes = pd.Categorical(values, categories=every).codes.astype(int)
            yield name, np.array([known.get(value, 0) for value in every], float), codes


def _champion_groups(champion: Mapping[str, Any], patches: int, groups: int) -> int:
    """Its number of groups; of a summary that does not tell it, as many as its patches would have here."""
    told = champion.get("groups")
    estimated = round(champion.get("patches", 0) * groups / max(1, patches))
    return max(1, int(told) if told else estimated)


def _bins(profile: pd.DataFrame, name: str, edges: np.ndarray) -> np.ndarray:
    """The fine bin of every row (n,), −1 where the value is unknown; what lies outside is in the first or last bin."""
    column = profile[name] if name in profile else pd.Series(np.nan, index=profile.index)
    values = pd.to_numeric(column, errors="coerce").to_numpy(float)
    found = np.searchsorted(edges, np.clip(values, edges[0], edges[-1]), side="right") - 1
    return np.where(np.isnan(values), -1, np.minimum(found, len(edges) - 2))


def _values(profile: pd.DataFrame, name: str) -> pd.Series:
    """The value of a share for every row (n,), strings; NA where unknown."""
    if name == "size":
        if not {"width", "height"} <= set(profile):
            return pd.Series(pd.NA, index=profile.index, dtype="string")
        width, height = (pd.to_numeric(profile[side], errors="coerce").astype("Int64").astype("string") for side in ("width", "height"))  # fmt: skip
        return width + "×" + height
    column = {"class": "label"}.get(name, name)
    return (
        profile[column].astype("string") if column in profile else pd.Series(pd.NA, index=profile.index, dtype="string")
    )


def _groups(profile: pd.DataFrame) -> pd.Series:
    """The group of every row; a row without one stands for itself."""
    rows = pd.Series(profile.index, index=profile.index).astype("string")
    return profile["group"].astype("string").fillna("row " + rows) if "group" in profile else rows


def _coarse(counts: np.ndarray) -> np.ndarray:
    """Returns where coarse bins start, so that each holds about a tenth of the counts."""
    reached = np.floor(np.cumsum(counts) / counts.sum() * _BINS * (1 - 1e-12))
    return np.append(0, np.flatnonzero(np.diff(reached) > 0) + 1)
