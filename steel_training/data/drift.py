"""Data drift: compares the distribution of a dataset with that of the champion's training dataset.

Population stability index: PSI = Σ (p − q) ln(p / q) over bins, p of the champion's dataset and q of this one, with the usual
thresholds of credit scoring: below 0.1 stable, up to 0.25 shifted, above it drifted (Siddiqi 2006, "Credit Risk Scorecards").
The champion's images are not needed: its bundle holds a small summary of histograms.

Patches of one coil are similar, so two samples of few coils differ by more than their patch counts suggest. This sampling
variation is estimated by resampling whole groups, and only what exceeds it is reported as drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TypedDict

import numpy as np
import pandas as pd

from steel_training.data.splits import SPLITS
from steel_training.storage.json_types import Json

SUMMARY = "profile_summary.json"
STABLE_BELOW, DRIFTED_ABOVE = 0.1, 0.25
WHOLE = "all"
"""Name of the whole dataset, beside its splits."""
# Each bin holds a tenth of the champion's patches, as far as the fine bins of the summary allow.
_BINS = 10
_DRAWS, _BY_CHANCE, _SEED = 400, 0.99, 20
_FEWEST_GROUPS, _MOST_GROUPS = 5, 2000

EDGES: Mapping[str, np.ndarray] = {
    "brightness": np.linspace(0, 255, 86),
    "contrast": np.linspace(0, 128, 65),
    # The variance of the Laplacian spans powers of ten.
    "sharpness": np.concatenate([[0.0], np.logspace(-1, 5, 73)]),
}
"""Edges of the fine bins of a summary, in grey values; sharpness in squared grey values. Outliers count in the outermost bins."""

SHARES = ("class", "size", "format")


class Summary(TypedDict, total=False):
    """A profile as JSON holds it; those of earlier versions of the program lack `groups`.

    Attributes:
        patches: number of them.
        groups: number of them.
        histograms: by property, counts between `EDGES`.
        shares: by class, size and format, number of patches of each value.
    """

    patches: int
    groups: int
    histograms: dict[str, list[int]]
    shares: dict[str, dict[str, int]]


class Reading(StrEnum):
    """Interpretation of a population stability index."""

    STABLE = "stable"
    SHIFTED = "shifted"
    DRIFTED = "drifted"


@dataclass(frozen=True)
class Drift:
    """Comparison of one property on one split.

    Attributes:
        name: of the property.
        part: the split: train, val, test, or `WHOLE`.
        psi: population stability index, ≥ 0.
        chance: 99th percentile of the index between two samples of as many groups from one population; None with fewer than
            five groups.
        reading: interpretation of `psi`; stable if sampling variation explains it.
    """

    name: str
    part: str
    psi: float
    chance: float | None
    reading: Reading

    @property
    def beyond_chance(self) -> float:
        """`psi` if it exceeds sampling variation, else 0."""
        return 0.0 if self.chance is None or self.psi <= self.chance else self.psi

    def as_dict(self) -> dict[str, Json]:
        """Return the fields as JSON values."""
        return {**asdict(self), "reading": str(self.reading)}


@dataclass(frozen=True)
class Comparison:
    """Comparison of a dataset with the champion's.

    Attributes:
        champion: its version; None if there is none yet.
        note: why no comparison was possible; empty otherwise.
        properties: comparisons by property and split.
    """

    champion: str | None
    note: str
    properties: tuple[Drift, ...] = ()

    def as_dict(self) -> dict[str, Json]:
        """Return the fields as JSON values."""
        found = [each.as_dict() for each in self.properties]
        return {"champion": self.champion, "note": self.note, "properties": found}


def summarise(profile: pd.DataFrame) -> Summary:
    """Summarise a profile as histograms and category counts: a few kilobytes, whatever the number of patches.

    Args:
        profile: one row per patch; columns brightness, contrast, sharpness, label, width, height, format and group, where known.

    """
    histograms: dict[str, list[int]] = {}
    shares: dict[str, dict[str, int]] = {}
    for name, edges in EDGES.items():
        bins = _bins(profile, name, edges)
        histograms[name] = np.bincount(bins[bins >= 0], minlength=len(edges) - 1).tolist()
    for name in SHARES:
        values = _values(profile, name).dropna()
        shares[name] = {str(value): int(count) for value, count in values.value_counts().items()}
    return {"patches": len(profile), "groups": _groups(profile).nunique(), "histograms": histograms, "shares": shares}


def compare(champion: Summary, profile: pd.DataFrame) -> list[Drift]:
    """Compare a profile with the champion's summary, property by property, as a whole and by split.

    Properties that either side lacks are skipped, and so are splits without patches.

    Args:
        champion: summary of the champion's training dataset.
        profile: as for `summarise`, with the column `part` if splits are known.
    """
    groups, names = pd.factorize(_groups(profile))
    parts = {WHOLE: np.ones(len(profile), bool)}
    if "part" in profile:
        of_part = profile["part"].astype("string").fillna("").to_numpy(str)
        parts |= {part: of_part == part for part in SPLITS}
    groups_here = _Groups(groups, len(names), _champion_groups(champion, len(profile), len(names)))
    return [
        drift
        for name, before, bins in _comparable(champion, profile)
        for part, rows in parts.items()
        if (drift := groups_here.compare(name, part, before, np.where(rows, bins, -1), bins)) is not None
    ]


def population_stability(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return the population stability index of counts (..., bins) relative to counts (..., bins), float (...).

    Half a patch is added to every bin, since an empty bin would make the index infinite. Neither side may sum to 0.
    """
    p, q = (
        (counts + 0.5) / (counts.sum(axis=-1, keepdims=True) + 0.5 * counts.shape[-1])
        for counts in (np.asarray(before, float), np.asarray(now, float))
    )
    return np.asarray(np.sum((p - q) * np.log(p / q), axis=-1))


def reading_of(psi: float) -> Reading:
    """Classify an index; NaN counts as drifted."""
    if psi < STABLE_BELOW:
        return Reading.STABLE
    return Reading.SHIFTED if psi <= DRIFTED_ABOVE else Reading.DRIFTED


@dataclass(frozen=True)
class _Groups:
    """The groups that represent the population.

    Attributes:
        of_row: group of each row, int (n,).
        number: of groups.
        of_champion: number of groups in the champion's dataset.
        resampled: `_resamples` made so far, by the number of groups drawn.
    """

    of_row: np.ndarray
    number: int
    of_champion: int
    resampled: dict[int, tuple[np.ndarray, list[np.ndarray]]] = field(default_factory=dict)

    def compare(
        self, name: str, part: str, before: np.ndarray, part_bins: np.ndarray, bins: np.ndarray
    ) -> Drift | None:
        """Compare one property: the champion's counts (bins,), the bins of the split's rows and of all rows, −1 for unknown."""
        inside = part_bins >= 0
        if not inside.any():
            return None
        now = np.bincount(part_bins[inside], minlength=len(before))
        psi = float(population_stability(before, now))
        chance = self._chance(len(before), bins, len(np.unique(self.of_row[inside])))
        explained = chance is not None and psi <= chance
        return Drift(name, part, psi, chance, Reading.STABLE if explained else reading_of(psi))

    def _chance(self, width: int, bins: np.ndarray, drawn: int) -> float | None:
        """Upper quantile of the index between resamples of all groups here: as many as the champion had, and as the split has."""
        known = (bins >= 0) & (self.of_row >= 0)
        if self.number < _FEWEST_GROUPS:
            return None
        counts = np.bincount(self.of_row[known] * width + bins[known], minlength=self.number * width)
        chosen, draws = self._resamples(drawn)
        counts = counts.reshape(self.number, width).astype(float)[chosen]
        sides = [each @ counts for each in draws]
        filled = (sides[0].sum(axis=1) > 0) & (sides[1].sum(axis=1) > 0)
        if not filled.any():
            return None
        return float(np.quantile(population_stability(sides[0][filled], sides[1][filled]), _BY_CHANCE))

    def _resamples(self, drawn: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the groups to resample, and how often each draw takes them, (draws, groups), for the champion and for the split.

        They are the same for every property, and drawing them takes longer than all the rest, so they are kept.
        """
        if drawn not in self.resampled:
            random, chosen = np.random.default_rng(_SEED), np.arange(self.number)
            if self.number > _MOST_GROUPS:  # a random subset is representative enough, and keeps resampling cheap
                chosen = random.choice(self.number, _MOST_GROUPS, replace=False)
            even = np.full(len(chosen), 1 / len(chosen))
            # One group fewer than there are: resampling with replacement understates the variation of few groups (Rao and Wu 1988).
            draws = [random.multinomial(max(1, size - 1), even, _DRAWS) for size in (self.of_champion, drawn)]
            self.resampled[drawn] = chosen, draws
        return self.resampled[drawn]


def _comparable(champion: Summary, profile: pd.DataFrame) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each property known on both sides: name, the champion's counts (bins,), and the bin of every row (n,), −1 for unknown."""
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


def _champion_groups(champion: Summary, patches: int, groups: int) -> int:
    """Number of groups in the summary; if it lacks that, estimated from its patches at the group size found here."""
    recorded = champion.get("groups")
    estimated = round(champion.get("patches", 0) * groups / max(1, patches))
    return max(1, int(recorded) if recorded else estimated)


def _bins(profile: pd.DataFrame, name: str, edges: np.ndarray) -> np.ndarray:
    """Fine bin of every row, int (n,); −1 if the value is unknown. Outliers fall in the first or last bin."""
    column = profile[name] if name in profile else pd.Series(np.nan, index=profile.index)
    values = pd.to_numeric(column, errors="coerce").to_numpy(float)
    found = np.searchsorted(edges, np.clip(values, edges[0], edges[-1]), side="right") - 1
    return np.where(np.isnan(values), -1, np.minimum(found, len(edges) - 2))


def _values(profile: pd.DataFrame, name: str) -> pd.Series:
    """Category of every row (n,), strings; NA if unknown."""
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
    """Group of every row (n,), strings; a row without a group forms its own."""
    rows = pd.Series(profile.index, index=profile.index).astype("string")
    return profile["group"].astype("string").fillna("row " + rows) if "group" in profile else rows


def _coarse(counts: np.ndarray) -> np.ndarray:
    """Return the first fine bin of every coarse bin, so that each holds about a tenth of the counts."""
    reached = np.floor(np.cumsum(counts) / counts.sum() * _BINS * (1 - 1e-12))
    return np.append(0, np.flatnonzero(np.diff(reached) > 0) + 1)
