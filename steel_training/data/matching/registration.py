"""Registers one patch to another and measures how well they agree: the final test of whether two patches show the same steel.

Row and column means are subtracted first, since streaks along the strip and lighting are common to different pieces of one
coil. Outliers are then clipped: two dark blobs on different steel would correlate by the blobs alone, while the grain between
them identifies the piece. And the agreement must be local: two scratches on different steel still correlate after one is
displaced along the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from steel_training.data.matching.overlap import overlap
from steel_training.data.matching.symmetries import MATRICES, oriented

_FINE, _COARSE = 1.0, 4.0
# Pixels. The smallest overlap that is judged, and how far the shift of the candidate may be off.
_SHORTEST_SIDE = 10
_SEARCH = 2
# Grey values. Below it only JPEG artefacts and rounding are left.
_FLAT = 0.1
_SIGMA_OF_MAD = 1.4826
# Of correlations: the Fisher z of 1 is infinite.
_CLOSEST = np.float32(0.9999)
# Pixels. Larger than the correlation length of grain, smaller than the length of a scratch.
_RING = 4
_DISPLACEMENTS = tuple(
    (y, x) for y in range(-_RING, _RING + 1) for x in range(-_RING, _RING + 1) if max(abs(y), abs(x)) == _RING
)


@dataclass(frozen=True)
class Registration:
    """Alignment of two patches, and their agreement in it.

    Attributes:
        correlation: of the band-passed grey values in the overlap, −1..1; 0 if the overlap is too small or too flat to judge.
        score: its Fisher z, in standard deviations for unrelated pieces of this size.
        exact: share of the overlapping pixels with equal grey values.
        shift: position of the corner of the first patch, oriented, on the second: (y, x), pixels.
        common: area of the overlap as a share of the smaller patch.
        displaced: share of the score that is left after a displacement by four pixels, in the direction where most is left: little
            for the same steel, most of it for two different scratches aligned with each other.
    """

    correlation: float
    score: float
    exact: float
    shift: tuple[int, int]
    common: float
    displaced: float = 0.0


NO_OVERLAP = Registration(0.0, 0.0, 0.0, (0, 0), 0.0)


def register(
    first: np.ndarray,
    second: np.ndarray,
    orientation: int,
    shift: np.ndarray,
    *,
    min_score: float = 0.1,
) -> Registration:
    """Register the first patch to the second, searching near the shift of a candidate.

    Args:
        first: uint8 grey, (height, width).
        second: uint8 grey, (height, width).
        orientation: of the first patch.
        shift: of its pixel (0, 0), half pixels, as in `Candidates`.
        min_score: score from which on `displaced` is measured.
    """
    aligned = oriented(first, orientation)
    # In a mirrored patch, pixel (0, 0) is at the far end.
    far = np.maximum(-(MATRICES[orientation] @ (2 * (np.array(first.shape) - 1))), 0)
    y, x = (int(at) for at in np.rint((np.asarray(shift) - far) / 2))
    ours, theirs = _band(aligned), _band(second)
    at = partial(_agreement, ours, theirs)
    near = range(-_SEARCH, _SEARCH + 1)
    best = max((at(y + dy, x + dx) for dy in near for dx in near), key=lambda each: each.score)
    if best is _NONE:
        return NO_OVERLAP
    (y, x), (here, there) = best.shift, overlap(ours.shape, theirs.shape, best.shift)
    displaced = 0.0
    if best.score >= min_score:
        displaced = max(at(y + dy, x + dx).score for dy, dx in _DISPLACEMENTS) / best.score
    return Registration(
        best.correlation,
        best.score,
        float((aligned[here] == second[there]).mean()),
        best.shift,
        aligned[here].size / min(aligned.size, second.size),
        displaced,
    )


def symmetry(grey: np.ndarray, orientation: int) -> float:
    """Return the score of a patch with itself in another orientation, wherever it agrees most: high for a roller, a letter or a relief that is symmetric.

    Args:
        grey: uint8, (height, width).
        orientation: not the one that it has.
    """
    ours, theirs = _band(oriented(grey, orientation)), _band(grey)
    (a, _), (b, _) = _grain(ours), _grain(theirs)
    size = fftconvolve(np.ones_like(b), np.ones_like(a))
    agreement = fftconvolve(b, a[::-1, ::-1]) / np.sqrt(np.maximum(size, 1))
    # The same in each direction: of the sides of the overlap, the shorter must be long enough.
    reach = [
        np.minimum(np.arange(1, one + other), np.arange(one + other - 1, 0, -1))
        for one, other in zip(a.shape, b.shape, strict=True)
    ]
    agreement[np.minimum.outer(*reach) < _SHORTEST_SIDE] = -np.inf
    y, x = np.unravel_index(np.argmax(agreement), agreement.shape)
    return _agreement(ours, theirs, int(y) - a.shape[0] + 1, int(x) - a.shape[1] + 1).score


class _Agreement(NamedTuple):
    """Correlation and score of two patches at one shift, as in `Registration`."""

    correlation: float
    score: float
    shift: tuple[int, int]


_NONE = _Agreement(0.0, 0.0, (0, 0))


def _agreement(ours: np.ndarray, theirs: np.ndarray, y: int, x: int) -> _Agreement:
    here, there = overlap(ours.shape, theirs.shape, (y, x))
    height, width = (side.stop - side.start for side in there)
    if min(height, width) < _SHORTEST_SIDE:
        return _NONE
    (a, a_spread), (b, b_spread) = _grain(ours[here]), _grain(theirs[there])
    if min(a_spread, b_spread) < _FLAT:
        return _NONE
    a *= b
    correlation = float(min(max(_sum(a, axis=None) / a.size / (a_spread * b_spread), -_CLOSEST), _CLOSEST))
    # Smoothing leaves one independent value per 4πσ² pixels.
    independent = height * width / (4 * np.pi * _FINE**2)
    return _Agreement(correlation, float(np.arctanh(correlation) * np.sqrt(max(independent - 3, 1))), (y, x))


def _band(grey: np.ndarray) -> np.ndarray:
    values = grey.astype(np.float32)
    return np.asarray(gaussian_filter(values, _FINE) - gaussian_filter(values, _COARSE))


# Hundreds of thousands of small arrays: `sum`, `mean`, `std` and `clip` would spend more time in Python than on the values.
_sum, _smaller, _larger = np.add.reduce, np.minimum, np.maximum


def _grain(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return values without streaks and outliers, in an array of their own, and their standard deviation."""
    grain = _without_streaks(values)
    usual = _SIGMA_OF_MAD * _median(np.abs(grain))
    _smaller(_larger(grain, -usual, out=grain), usual, out=grain)
    grain = _without_streaks(grain)
    deviations = grain - _sum(grain, axis=None) / grain.size
    deviations *= deviations
    return grain, float(np.sqrt(_sum(deviations, axis=None) / grain.size))


def _without_streaks(values: np.ndarray) -> np.ndarray:
    height, width = values.shape
    plain = values - _sum(values, axis=0, keepdims=True) / height
    plain -= _sum(values, axis=1, keepdims=True) / width
    plain += _sum(values, axis=None) / values.size
    return np.asarray(plain)


def _median(values: np.ndarray) -> float:
    """Return what `np.median` does of finite values, in a fifth of the time."""
    half = values.size // 2
    parted = np.partition(values, half, axis=None)
    return float(parted[half] if values.size % 2 else (parted[:half].max() + parted[half]) / 2)
