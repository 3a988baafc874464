"""Patches that show one piece of steel: found by their keypoints, confirmed by registering one on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from steel_training.data.matching.candidates import WIDE, candidates
from steel_training.data.matching.keypoints import ANCHOR
from steel_training.data.matching.registration import Overlay, overlay

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


# Each costs about 4 ms. The best supported come first, so what lies behind so many is no news.
LOOKED_AT = 1500


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
    for number in range(min(len(pairs), LOOKED_AT)):
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
