"""Lays one patch on another and says how well the steel agrees: the last word on whether two patches show the same piece.

Row and column means are taken away first: what runs along the strip, and the lamp, is common to unlike pieces of one coil.
What then stands out is clipped: two dark blobs on unlike steel would agree by their blobs alone, and the grain between
them is what tells one piece of steel from another. And agreement must hold one place only: two scratches on unlike steel agree
wherever one is slid along the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter

from steel_training.data.matching.symmetries import MATRICES, turned

_FINE, _COARSE = 1.0, 4.0
# Pixels. The smallest common piece that is judged, and how far the found shift may be off.
_SHORTEST_SIDE = 10
_SEARCH = 2
# Grey values. Below it JPEG and rounding are all there is.
_FLAT = 0.1
_SIGMA_OF_MAD = 1.4826
# Pixels. Farther than grain reaches, nearer than a scratch ends.
_RING = 4
_SLID = tuple(
    (y, x) for y in range(-_RING, _RING + 1) for x in range(-_RING, _RING + 1) if max(abs(y), abs(x)) == _RING
)


@dataclass(frozen=True)
class Overlay:
    """How two patches lie on each other.

    Attributes:
        correlation: of the band-passed grey values on the common piece, −1..1; 0 where there is too little to judge.
        score: Fisher's z of it, in standard deviations of what unlike pieces of this size show.
        exact: share of the common pixels that are equal to the grey value.
        shift: where the first patch, turned, lies on the second: (y, x) of its corner, pixels.
        common: share of the smaller patch that is common.
        slid: share of the score that is left four pixels away, in the direction where most is. Of one piece of steel little is left,
            of two scratches laid on each other most of it.
    """

    correlation: float
    score: float
    exact: float
    shift: tuple[int, int]
    common: float
    slid: float = 0.0


NOTHING = Overlay(0.0, 0.0, 0.0, (0, 0), 0.0)


def overlay(
    first: np.ndarray, second: np.ndarray, turn: int, shift: np.ndarray, *, enough: float = np.inf, worth: float = 0.1
) -> Overlay:
    """Lays the first patch on the second, near a shift that was found.

    Args:
        first: uint8 grey, (height, width).
        second: uint8 grey, (height, width).
        turn: how the first is turned.
        shift: of its pixel (0, 0), half pixels, as in `Candidates`.
        enough: a score from which on no better shift is looked for.
        worth: a score from which on it is asked how much is left where one is slid along the other.
    """
    lying = turned(first, turn)
    # Mirrored, pixel (0, 0) lies at the far end.
    far = np.maximum(-(MATRICES[turn] @ (2 * (np.array(first.shape) - 1))), 0)
    y, x = (int(at) for at in np.rint((np.asarray(shift) - far) / 2))
    ours, theirs = _band(lying), _band(second)
    at = partial(_at, lying, second, ours, theirs)
    best = at(y, x)
    if best.score < enough:
        near = range(-_SEARCH, _SEARCH + 1)
        best = max((best, *(at(y + dy, x + dx) for dy in near for dx in near)), key=lambda each: each.score)
    if best.score < worth:
        return best
    y, x = best.shift
    return replace(best, slid=max(at(y + dy, x + dx).score for dy, dx in _SLID) / best.score)


def _at(lying: np.ndarray, second: np.ndarray, ours: np.ndarray, theirs: np.ndarray, y: int, x: int) -> Overlay:
    rows, columns = (
        (max(at, 0), min(at + one, other)) for at, one, other in zip((y, x), lying.shape, second.shape, strict=True)
    )
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    if min(height, width) < _SHORTEST_SIDE:
        return NOTHING
    there = np.s_[rows[0] : rows[1], columns[0] : columns[1]]
    here = np.s_[rows[0] - y : rows[1] - y, columns[0] - x : columns[1] - x]
    a, b = _grain(ours[here]), _grain(theirs[there])
    spreads = float(a.std()), float(b.std())
    if min(spreads) < _FLAT:
        return NOTHING
    correlation = float(np.clip((a * b).mean() / (spreads[0] * spreads[1]), -0.9999, 0.9999))
    # Smoothing leaves one independent value per 4πσ² pixels.
    independent = height * width / (4 * np.pi * _FINE**2)
    return Overlay(
        correlation,
        float(np.arctanh(correlation) * np.sqrt(max(independent - 3, 1))),
        float((lying[here] == second[there]).mean()),
        (y, x),
        height * width / min(lying.size, second.size),
    )


def _band(grey: np.ndarray) -> np.ndarray:
    values = grey.astype(np.float32)
    return np.asarray(gaussian_filter(values, _FINE) - gaussian_filter(values, _COARSE))


def _grain(values: np.ndarray) -> np.ndarray:
    plain = _without_streaks(values)
    usual = _SIGMA_OF_MAD * float(np.median(np.abs(plain)))
    return _without_streaks(np.clip(plain, -usual, usual))


def _without_streaks(values: np.ndarray) -> np.ndarray:
    return np.asarray(values - values.mean(axis=0, keepdims=True) - values.mean(axis=1, keepdims=True) + values.mean())
