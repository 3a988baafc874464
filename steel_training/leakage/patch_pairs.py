"""Two patches side by side as evidence of an alarm: which they are, what they share, and how that is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from steel_training.data.matching.symmetries import NAMES, SAME, oriented

_LABELS = {0: "clean", 1: "defective"}
# Of the smaller patch. What shares more is one cut again: a frame around all of it shows nothing.
_NEARLY_ALL = 0.85

Frame = tuple[float, float, float, float]
"""A piece of a patch: top, left, bottom, right, as shares of its height and width."""


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        row: in the profile.
        patch_id: its name.
        part: `train`, `val` or `test`.
        label: `clean`, `defective` or `?`.
        group: what must stay together.
        value: of the property that tells the sides apart; empty where the pair itself is to blame.
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
        how: what they share, or differ by.
        told: what is wrong about where they stand: the `part` of each, or the `label`.
        turn: how the first is turned to lie on the second.
        shift: where its corner, turned, lies on the second: (y, x), pixels; `None` where they are not laid on each other.
    """

    first: Side
    second: Side
    how: str
    told: str = "part"
    orientation: int = SAME
    shift: tuple[int, int] | None = None

    def frames(self, first: tuple[int, int], second: tuple[int, int]) -> tuple[Frame, Frame] | None:
        """Returns the piece of steel that both show, on each; `None` where that is all of it, or not known.

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
    """Returns what there is to say of the patch in a row."""
    patch = profile.iloc[row]
    label = pd.to_numeric(patch["label"], errors="coerce")
    said = _LABELS.get(int(label), "?") if pd.notna(label) else "?"
    return Side(row, str(patch["patch_id"]), str(patch["part"]), said, str(patch["group"]), value)


def named_pairs(pairs: Sequence[Mapping[str, Any]], profile: pd.DataFrame, code: str) -> Iterator[Pair]:
    """Yields the pairs that a probe names by their patches. A name that two rows bear is nobody's and is left out."""
    row_of = pd.Series(profile.index, index=profile["patch_id"].astype(str))
    row_of = row_of[~row_of.index.duplicated(keep=False)]
    for pair in pairs:
        if pair["first"] in row_of and pair["second"] in row_of:
            first, second = (side_of(profile, int(row_of[pair[side]])) for side in ("first", "second"))
            orientation = NAMES.index(pair.get("turn", NAMES[SAME]))
            shift = tuple(pair["shift"]) if "shift" in pair else None
            told = "label" if first.part == second.part else "part"
            yield Pair(first, second, _how(pair, code, first.label != second.label), told, orientation, shift)


def straddling_pairs(groups: Sequence[str], profile: pd.DataFrame) -> Iterator[Pair]:
    """Yields, of each group that stands in two parts, a patch of one and a patch of another."""
    for name in groups:
        for column in ("group", "source_id"):
            rows = profile[profile[column].astype("string") == name].drop_duplicates("part")
            if len(rows) > 1:
                seen_first = (rows["part"] != "train").sort_values(kind="stable").index[:2]
                first, second = (side_of(profile, int(row)) for row in seen_first)
                kind = "group" if column == "group" else "photograph"
                yield Pair(first, second, f"both of {kind} {name}")
                break


def _how(pair: Mapping[str, Any], code: str, contradict: bool) -> str:
    if "correlation" not in pair:
        if code == "leak.coordinates":
            return "cut from one photograph, at places that overlap"
        return "the same pixels" + (", and both labels" if contradict else "")
    orientation = pair.get("turn", NAMES[SAME])
    seen = "the same steel" if orientation == NAMES[SAME] else f"the same steel, {orientation}"
    return f"{seen}: {pair['common']:.0%} of it in both, correlation {pair['correlation']:.2f}"
