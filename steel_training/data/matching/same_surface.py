"""Patches that show the same steel: found by their keypoints, confirmed by registering one to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from steel_training.data.matching.candidates import WIDE, candidates
from steel_training.data.matching.grain import COARSE, grain_agreement
from steel_training.data.matching.keypoints import KEYPOINT
from steel_training.data.matching.lookalikes import Lookalikes
from steel_training.data.matching.registration import Registration, register, symmetry
from steel_training.data.matching.residual import residual
from steel_training.data.matching.symmetries import SAME, swaps_axes

Pixels = Callable[[int], np.ndarray]
"""Returns the grey values of the patch in a row of the profile, uint8 (height, width)."""

SCORE = 20.0
"""Standard deviations. Unrelated pieces of steel stay below 17 (docs/leakage.md)."""

# A small overlap cannot reach that score; it must correlate more closely, or agree exactly.
_CLOSE_SCORE, _CLOSE = 17.0, 0.95
_EXACT_SCORE, _EXACT = 6.0, 0.95
_JOINING_SCORE = 12.0
# Share of the score that may be left after displacement. Of 643 planted pairs after JPEG at quality 90 none had more than 0.42; of
# the five unrelated pairs with a score of 12 or more, all scratches, none had less than 0.92 (docs/leakage.md).
_MAX_DISPLACED = 0.65
# Lower bound of the correlation of the grain between structures. Different steel under one relief or print stays below, copies after
# JPEG at quality 90 are above 0.6 as a rule (docs/leakage.md).
_SAME_GRAIN = 0.5
# From here on, with little left over, a pair is asked nothing more about itself; only that lookalikes agree less.
_CERTAIN_GRAIN = 0.8
# Where JPEG has left little of the fine grain. Of 251 copies in neu_seg_leaky none was below 0.45 (docs/leakage.md).
_SAME_COARSE_GRAIN = 0.4
# Share of the score. Halves of a symmetric machine agreed with themselves by at least 0.6 of it, copies by at most 0.22 (docs/leakage.md).
_MAX_SYMMETRY = 0.5

# Each takes a few milliseconds. The best supported come first, so later ones add nothing new.
MAX_CANDIDATES = 1500


@dataclass(frozen=True)
class MatchedPair:
    """Two patches of different splits that show the same steel.

    Attributes:
        first: row of one.
        second: row of the other.
        orientation: that aligns the first patch with the second.
        registration: their alignment and agreement.
    """

    first: int
    second: int
    orientation: int
    registration: Registration


def same_surface_pairs(keypoints: Sequence[bytes | None], split: np.ndarray, pixels: Pixels) -> Iterator[MatchedPair]:
    """Yield the pairs of patches in different splits that show the same steel, best supported first.

    Args:
        keypoints: of every patch, `KEYPOINT` as bytes.
        split: number of the split of every patch, int (patches,).
        pixels: reads a patch.
    """
    buffers = [each if isinstance(each, bytes) else b"" for each in keypoints]
    counts = [len(buffer) // KEYPOINT.itemsize for buffer in buffers]
    pairs = candidates(np.frombuffer(b"".join(buffers), KEYPOINT), np.repeat(np.arange(len(buffers)), counts), split)
    read = lru_cache(maxsize=512)(pixels)
    matches: list[tuple[MatchedPair, float | None]] = []
    lookalikes = Lookalikes()
    for number in range(min(len(pairs), MAX_CANDIDATES)):
        first, second, orientation = (int(each[number]) for each in (pairs.first, pairs.second, pairs.orientation))
        one, other = read(first), read(second)
        registration = register(one, other, orientation, pairs.shift[number], min_score=_CLOSE_SCORE)
        seen = _compared(one, other, orientation, registration, SCORE)
        if seen.same_steel:
            matches.append((MatchedPair(first, second, orientation, registration), seen.grain))
        elif seen.agree and seen.grain is not None:
            lookalikes.add(first, second, seen.grain)
    for pair, grain in matches:
        if (
            grain is None
            or pair.registration.exact >= _EXACT
            or swaps_axes(pair.orientation)
            or lookalikes.are_less_alike(pair.first, pair.second, grain)
        ):
            yield pair


def same_surface_groups(keypoints: Sequence[bytes | None], owner: np.ndarray, pixels: Pixels) -> np.ndarray:
    """Group source images that show the same steel, directly or through others: these groups must not straddle splits.

    The score limit is lower than that of an alarm: a group that is too large costs little, one that is divided inflates the
    metrics.

    Args:
        keypoints: of every patch, `KEYPOINT` as bytes.
        owner: number of the source image of every patch, int (patches,), from 0.
        pixels: reads a patch.

    Returns:
        The group number of every source image, int (sources,).
    """
    group = np.arange(int(owner.max(initial=-1)) + 1)
    buffers = [each if isinstance(each, bytes) else b"" for each in keypoints]
    counts = [len(buffer) // KEYPOINT.itemsize for buffer in buffers]
    pairs = candidates(
        np.frombuffer(b"".join(buffers), KEYPOINT), np.repeat(np.arange(len(buffers)), counts), owner, WIDE
    )
    read = lru_cache(maxsize=512)(pixels)
    for number in range(len(pairs)):
        first, second, orientation = (int(each[number]) for each in (pairs.first, pairs.second, pairs.orientation))
        groups = group[owner[first]], group[owner[second]]
        if groups[0] == groups[1]:
            continue
        one, other = read(first), read(second)
        registration = register(one, other, orientation, pairs.shift[number], min_score=_JOINING_SCORE)
        if _compared(one, other, orientation, registration, _JOINING_SCORE).same_steel:
            group[group == max(groups)] = min(groups)
    return group


class _Compared(NamedTuple):
    """How two registered patches compare.

    Attributes:
        agree: whether their grey values do, as those of the same steel, or of other steel with the same relief, print or machine on it.
        same_steel: whether it is the steel that agrees.
        grain: agreement of the grain between structures; `None` if it was not measured, or there is too little to judge.
    """

    agree: bool
    same_steel: bool
    grain: float | None = None


def _compared(
    first: np.ndarray, second: np.ndarray, orientation: int, registration: Registration, score: float
) -> _Compared:
    exact = registration.exact >= _EXACT and registration.score >= _EXACT_SCORE
    close = registration.correlation >= _CLOSE and registration.score >= _CLOSE_SCORE
    agree = (registration.score >= score or close) and registration.displaced <= _MAX_DISPLACED
    if not exact and not agree:
        return _Compared(agree=False, same_steel=False)
    grain = grain_agreement(first, second, orientation, registration.shift)
    if exact:
        return _Compared(True, grain is None or grain >= _SAME_GRAIN, grain)
    return _Compared(True, grain is not None and _is_same_steel(first, second, orientation, registration, grain), grain)


def _is_same_steel(
    first: np.ndarray, second: np.ndarray, orientation: int, registration: Registration, grain: float
) -> bool:
    """Return whether patches that agree, but for noise and exposure, do so by their steel."""
    left = residual(first, second, orientation, registration.shift)
    if left is None:
        return grain >= _SAME_GRAIN
    if left.is_other_steel(grain):
        return False
    if left.is_slight and grain >= _CERTAIN_GRAIN:
        return True
    # A roller or a letter agrees with itself upside down, and with others of its kind.
    if (
        orientation != SAME
        and not swaps_axes(orientation)
        and _agrees_with_itself(first, second, orientation, registration)
    ):
        return False
    if left.is_slight and grain >= _SAME_GRAIN:
        return True
    # The coarser grain has to agree too where much is left over: two halves of a symmetric machine may have the same fine grain at their few
    # plain places. And it is enough for patches turned by a right angle: a machine that stands still, and what a mill rolls or prints, is not.
    if grain < _SAME_GRAIN and not (left.is_slight and swaps_axes(orientation)):
        return False
    coarse = grain_agreement(first, second, orientation, registration.shift, COARSE)
    return coarse is not None and coarse >= _SAME_COARSE_GRAIN


def _agrees_with_itself(first: np.ndarray, second: np.ndarray, orientation: int, registration: Registration) -> bool:
    return any(symmetry(each, orientation) > _MAX_SYMMETRY * registration.score for each in (first, second))
