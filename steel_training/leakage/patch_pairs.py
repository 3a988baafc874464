"""Pairs of patches as evidence of an alarm: which they are, what they have in common, and its description."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Required, TypedDict

import numpy as np
import pandas as pd

from steel_training.data.matching.symmetries import NAMES, SAME, oriented

_LABELS = {0: "clean", 1: "defective"}
# Share of the smaller patch. With a larger overlap, a frame around it would show nothing.
_NEARLY_ALL = 0.85

Frame = tuple[float, float, float, float]
"""An area of a patch: top, left, bottom, right, as shares of its height and width."""


class NamedPair(TypedDict, total=False):
    """A pair as a probe names it in its evidence; what was not measured is missing.

    Attributes:
        first: patch_id of one.
        second: of the other.
        parts: their splits.
        groups: their groups.
        turn: orientation that aligns the first with the second.
        shift: position of its corner on the second: (y, x), pixels.
        common: share of the smaller patch that both show.
        correlation: of the pixels there.
        score: of the match.
    """

    first: Required[str]
    second: Required[str]
    parts: list[str]
    groups: list[str]
    turn: str
    shift: list[int]
    common: float
    correlation: float
    score: float


@dataclass(frozen=True)
class Side:
    """One patch of a pair; the fields are JSON keys of the evidence index.

    Attributes:
        row: in the profile.
        patch_id: of the manifest.
        part: the split: `train`, `val` or `test`.
        label: `clean`, `defective` or `?`.
        group: that must not straddle splits.
        value: of the property that separates the two sides; empty if the pair itself is the evidence.
    """

    row: int
    patch_id: str
    part: str
    label: str
    group: str
    value: str = ""


@dataclass(frozen=True)
class Pair:
    """Two patches, and what is wrong with them.

    Attributes:
        first: one.
        second: the other.
        how: what they have in common, or differ in.
        wrong: which of the two is wrong: the `part` (split) of each, or the `label`.
        orientation: that aligns the first patch with the second.
        shift: position of its corner, oriented, on the second: (y, x), pixels; `None` if they are not registered.
    """

    first: Side
    second: Side
    how: str
    wrong: str = "part"
    orientation: int = SAME
    shift: tuple[int, int] | None = None

    def frames(self, first: tuple[int, int], second: tuple[int, int]) -> tuple[Frame, Frame] | None:
        """Return the area that both patches show, on each; `None` if that is all of it, or not known.

        Args:
            first: height and width of the first patch, pixels.
            second: of the other.
        """
        if self.shift is None:
            return None
        places = oriented(np.arange(first[0] * first[1]).reshape(first), self.orientation)
        y, x = self.shift
        (top, bottom), (left, right) = (
            (max(at, 0), min(at + one, other)) for at, one, other in zip((y, x), places.shape, second, strict=True)
        )
        common = max(bottom - top, 0) * max(right - left, 0) / min(places.size, second[0] * second[1])
        if common == 0 or common >= _NEARLY_ALL:
            return None
        rows, columns = np.divmod(places[top - y : bottom - y, left - x : right - x], first[1])
        here = (int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
        return _shares(here, first), _shares((top, left, bottom, right), second)


def _shares(box: tuple[int, int, int, int], size: tuple[int, int]) -> Frame:
    return box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1]


def side_of(profile: pd.DataFrame, row: int, value: str = "") -> Side:
    """Return the description of the patch in a row."""
    patch = profile.iloc[row]
    label = pd.to_numeric(patch["label"], errors="coerce")
    said = _LABELS.get(int(label), "?") if pd.notna(label) else "?"
    return Side(row, str(patch["patch_id"]), str(patch["part"]), said, str(patch["group"]), value)


def named_pairs(pairs: Sequence[NamedPair], profile: pd.DataFrame, code: str) -> Iterator[Pair]:
    """Yield the pairs that a probe names by patch_id. Ids that occur in several rows are ambiguous and left out."""
    row_of = pd.Series(profile.index, index=profile["patch_id"].astype(str))
    row_of = row_of[~row_of.index.duplicated(keep=False)]
    for pair in pairs:
        if pair["first"] in row_of and pair["second"] in row_of:
            first, second = (side_of(profile, int(row_of[pair[side]])) for side in ("first", "second"))
            orientation = NAMES.index(pair.get("turn", NAMES[SAME]))
            shift = (pair["shift"][0], pair["shift"][1]) if "shift" in pair else None
            wrong = "label" if first.part == second.part else "part"
            yield Pair(first, second, _how(pair, code, first.label != second.label), wrong, orientation, shift)


def straddling_pairs(groups: Sequence[str], profile: pd.DataFrame) -> Iterator[Pair]:
    """Yield, for each group that straddles splits, a patch of one split and a patch of another."""
    for name in groups:
        for column in ("group", "source_id"):
            rows = profile[profile[column].astype("string") == name].drop_duplicates("part")
            if len(rows) > 1:
                seen_first = (rows["part"] != "train").sort_values(kind="stable").index[:2]
                first, second = (side_of(profile, int(row)) for row in seen_first)
                kind = "group" if column == "group" else "source image"
                yield Pair(first, second, f"both of {kind} {name}")
                break


def _how(pair: NamedPair, code: str, contradict: bool) -> str:
    if "correlation" not in pair:
        if code == "leak.coordinates":
            return "cut from one source image, at overlapping positions"
        return "identical pixels" + (", different labels" if contradict else "")
    orientation = pair.get("turn", NAMES[SAME])
    seen = "the same steel" if orientation == NAMES[SAME] else f"the same steel, {orientation}"
    return f"{seen}: overlap {pair['common']:.0%}, correlation {pair['correlation']:.2f}"
