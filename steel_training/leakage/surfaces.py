"""One piece of steel in two parts: overlapping cuts, turned or mirrored copies, another exposure, another file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from steel_training.leakage.anchors import ANCHOR
from steel_training.leakage.candidates import WIDE, candidates
from steel_training.leakage.overlay import Overlay, overlay
from steel_training.leakage.probe import Probe
from steel_training.leakage.turns import NAMES, SAME

Pixels = Callable[[int], np.ndarray]
"""Returns the grey values of the patch in a row of the profile, uint8 (height, width)."""

SCORE = 20.0
"""Standard deviations. Unlike pieces of steel stay below 17 (docs/leakage.md)."""

# A small common piece cannot reach that score; it must agree more closely, or to the grey value.
_SCORE_OF_CLOSE, _CLOSE = 17.0, 0.95
_SCORE_OF_EXACT, _EXACT = 6.0, 0.95
_SCORE_OF_JOINING = 12.0
# Share of the score. Of 643 planted pairs after JPEG at quality 90 none had more than 0.42 left; of the five unlike pairs with a score
# of 12 or more, all scratches, none less than 0.92 (docs/leakage.md).
_SLID = 0.65
# Common to nearly the last pixel, as it is: not another cut but the same one again.
_WHOLE = 0.85
# Each costs about 4 ms. The best supported come first, so what lies behind so many is no news.
_LOOKED_AT = 1500
_NAMED = 10


@dataclass(frozen=True)
class Common:
    """Two patches of different parts that show one piece of steel.

    Attributes:
        first: row of one.
        second: row of the other.
        turn: how the first is turned to lie on the second.
        lies: how well they agree.
    """

    first: int
    second: int
    turn: int
    lies: Overlay

    @property
    def code(self) -> str:
        """The reason code of this kind."""
        if self.turn != SAME:
            return "leak.rotation"
        return "leak.near_duplicate" if self.lies.common >= _WHOLE else "leak.overlap"


_SAID = {
    "leak.overlap": ("overlap", "Overlapping cuts of a photograph belong in one part"),
    "leak.rotation": ("are turned or mirrored copies", "Copies of a photograph belong in one part"),
    "leak.near_duplicate": (
        "show the same steel (another file, exposure, or a few pixels away)",
        "Shots of one place belong in one part",
    ),
}


def same_surface(profile: pd.DataFrame, anchors: Sequence[bytes | None], pixels: Pixels) -> list[Probe]:
    """Looks for one piece of steel in two parts, whatever the ids say; one verdict for each way it got there.

    Args:
        profile: one row a patch.
        anchors: of every row, `ANCHOR` as bytes.
        pixels: reads a patch again; called for candidate pairs only.
    """
    found = list(_common(profile, anchors, pixels))
    return [_verdict(code, [pair for pair in found if pair.code == code], profile) for code in _SAID]


def common_surfaces(anchors: Sequence[bytes | None], part: np.ndarray, pixels: Pixels) -> Iterator[Common]:
    """Yields the pairs of patches in different parts that show one piece of steel, best supported first.

    Args:
        anchors: of every patch, `ANCHOR` as bytes.
        part: number of the part of every patch, int (patches,).
        pixels: reads a patch.
    """
    texts = [each if isinstance(each, bytes) else b"" for each in anchors]
    counts = [len(text) // ANCHOR.itemsize for text in texts]
    pairs = candidates(np.frombuffer(b"".join(texts), ANCHOR), np.repeat(np.arange(len(texts)), counts), part)
    read = lru_cache(maxsize=512)(pixels)
    for number in range(min(len(pairs), _LOOKED_AT)):
        first, second, turn = (int(each[number]) for each in (pairs.first, pairs.second, pairs.turn))
        lies = overlay(read(first), read(second), turn, pairs.shift[number], enough=SCORE, worth=_SCORE_OF_EXACT)
        if _is_one(lies, SCORE):
            yield Common(first, second, turn, lies)


def one_surface_groups(anchors: Sequence[bytes | None], owner: np.ndarray, pixels: Pixels) -> np.ndarray:
    """Joins photographs that show the same steel, directly or through others: what must not straddle a split.

    The limit is lower than that of an alarm: a group too large costs little, one torn apart flatters the model.

    Args:
        anchors: of every patch, `ANCHOR` as bytes.
        owner: number of the photograph of every patch, int (patches,), from 0.
        pixels: reads a patch.

    Returns:
        The number of the group of every photograph, int (photographs,).
    """
    group = np.arange(int(owner.max(initial=-1)) + 1)
    texts = [each if isinstance(each, bytes) else b"" for each in anchors]
    counts = [len(text) // ANCHOR.itemsize for text in texts]
    pairs = candidates(np.frombuffer(b"".join(texts), ANCHOR), np.repeat(np.arange(len(texts)), counts), owner, WIDE)
    read = lru_cache(maxsize=512)(pixels)
    for number in range(len(pairs)):
        first, second, turn = (int(each[number]) for each in (pairs.first, pairs.second, pairs.turn))
        one, other = group[owner[first]], group[owner[second]]
        if one == other:
            continue
        if _is_one(
            overlay(read(first), read(second), turn, pairs.shift[number], worth=_SCORE_OF_EXACT), _SCORE_OF_JOINING
        ):
            group[group == max(one, other)] = min(one, other)
    return group


def _is_one(lies: Overlay, score: float) -> bool:
    if lies.exact >= _EXACT and lies.score >= _SCORE_OF_EXACT:
        return True
    close = lies.correlation >= _CLOSE and lies.score >= _SCORE_OF_CLOSE
    return (lies.score >= score or close) and lies.slid <= _SLID


def _common(profile: pd.DataFrame, anchors: Sequence[bytes | None], pixels: Pixels) -> Iterator[Common]:
    hashes = profile["pixel_hash"].fillna("").to_numpy(str)
    part = pd.factorize(profile["part"])[0]
    for pair in common_surfaces(anchors, part, pixels):
        if hashes[pair.first] != hashes[pair.second]:  # those are named by `identical_pixels`
            yield pair


def _verdict(code: str, pairs: list[Common], profile: pd.DataFrame) -> Probe:
    how, advice = _SAID[code]
    if not pairs:
        return Probe(code, True, 0, 0, f"No two patches of different parts {how}.")
    rows = [_row(pair, profile) for pair in sorted(pairs, key=lambda pair: -pair.lies.score)[:_NAMED]]
    named = ", ".join(f"{row['first']} and {row['second']}" for row in rows[:3])
    many = "At least " if len(pairs) >= _LOOKED_AT // 2 else ""
    return Probe(
        code,
        False,
        len(pairs),
        0,
        f"{many}{len(pairs)} pairs of patches in different parts {how}: {named}. "
        f"{advice}: give them one group_id, or remove one side.",
        {"pairs": rows},
    )


def _row(pair: Common, profile: pd.DataFrame) -> dict[str, Any]:
    one, other = profile.iloc[pair.first], profile.iloc[pair.second]
    return {
        "first": str(one["patch_id"]),
        "second": str(other["patch_id"]),
        "parts": [str(one["part"]), str(other["part"])],
        "groups": [str(one["group"]), str(other["group"])],
        "turn": NAMES[pair.turn],
        "shift": list(pair.lies.shift),
        "common": round(pair.lies.common, 3),
        "correlation": round(pair.lies.correlation, 3),
        "score": round(pair.lies.score, 1),
    }
