"""Keypoints of a patch: places with a key that is invariant to rotation, mirroring, shift and more.

Two kinds, because each detects what the other cannot:

- an *exact-hash window* is 8×8 pixels, selected by its content (its hash ends in zeros, Manber 1994) and keyed by its exact
  pixels. All lossless overlaps share windows, however smooth the steel; a window is lost if one of its pixels changes.
- a *blob* is a bright or dark extremum of the band-passed surface, keyed by the signs of random projections of its
  neighbourhood (locality-sensitive hashing, Charikar 2002). It survives JPEG, exposure changes and noise; it needs texture.

Keys do not depend on the orientation of the patch: window hashes are symmetric under the eight orientations, and blob
neighbourhoods are first brought into a canonical orientation. That orientation is kept, so that two keypoints of equal key
determine how one patch is registered to the other.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from steel_training.data.matching.symmetries import MATRICES, canonical_orientation

KEYPOINT = np.dtype([("key", "<u8"), ("y", "<i2"), ("x", "<i2"), ("orientation", "u1"), ("kind", "u1")])
"""Position in half pixels, canonical orientation (`orientation`), and kind: `WINDOW` or `BLOB`."""

WINDOW, BLOB = 0, 1

_WINDOW_SIDE = 8
_TARGET_WINDOWS = 100
# A window that is nearly flat, or consists of two flat fields and an edge, occurs on every strip.
_MAX_SHARE_OF_ONE_GREY = 0.7
_MIN_GREYS = 5

_MAX_BLOBS = 48
# Pixels. JPEG at quality 90 preserves structure coarser than `_FINE`; the patch border affects structure finer than `_COARSE` least.
_FINE, _COARSE = 1.5, 4.0
_REACH, _STEP = 6, 2
BITS = 64
_MIN_SIDE = 2 * _REACH + 4
_FLAT = 0.25


def keypoints_of(grey: np.ndarray) -> np.ndarray:
    """Return the keypoints of a patch.

    Args:
        grey: uint8, (height, width).

    Returns:
        `KEYPOINT` (n,), n about 150; empty for a patch that is flat, or below 16 pixels per side.
    """
    if min(grey.shape) < _MIN_SIDE:
        return np.empty(0, KEYPOINT)
    return np.concatenate([_hashed_windows(grey), _blobs(grey)])


def _hashed_windows(grey: np.ndarray) -> np.ndarray:
    values, weights = _random_words()
    height, width = (side - _WINDOW_SIDE + 1 for side in grey.shape)
    words = values[grey]
    hashed = np.zeros((height, width), np.uint64)
    columns = [
        words[:, j : j + width] + words[:, _WINDOW_SIDE - 1 - j : _WINDOW_SIDE - 1 - j + width]
        for j in range(_WINDOW_SIDE // 2)
    ]
    for j, column in enumerate(columns):
        for i in range(_WINDOW_SIDE // 2):
            hashed += weights[i, j] * (
                column[i : i + height] + column[_WINDOW_SIDE - 1 - i : _WINDOW_SIDE - 1 - i + height]
            )
    hashed ^= hashed >> np.uint64(29)
    hashed *= np.uint64(0xBF58476D1CE4E5B9)
    hashed ^= hashed >> np.uint64(32)
    # A power of two, so that patches of different sizes select the same windows.
    zeros = max(0, int(np.log2(height * width / _TARGET_WINDOWS)))
    y, x = np.nonzero((hashed & np.uint64(2**zeros - 1)) == 0)
    windows = np.lib.stride_tricks.sliding_window_view(grey, (_WINDOW_SIDE, _WINDOW_SIDE))[y, x].astype(np.int64)
    pixels = np.sort(windows.reshape(len(y), _WINDOW_SIDE**2), axis=1)
    changes = np.diff(pixels, axis=1) != 0
    # After sorting, a grey value that fills such a share of the window is at both ends of a run of that length.
    run = int(_MAX_SHARE_OF_ONE_GREY * _WINDOW_SIDE**2)
    distinctive = (changes.sum(1) >= _MIN_GREYS - 1) & ~(pixels[:, run:] == pixels[:, : _WINDOW_SIDE**2 - run]).any(1)
    from_centre = 2 * np.arange(_WINDOW_SIDE) - (_WINDOW_SIDE - 1)
    up, left = windows.sum(2) @ from_centre, windows.sum(1) @ from_centre
    distinctive &= (up != 0) & (left != 0) & (np.abs(up) != np.abs(left))
    found = np.zeros(int(distinctive.sum()), KEYPOINT)
    found["key"] = hashed[y, x][distinctive]
    found["y"], found["x"] = (2 * at[distinctive] + _WINDOW_SIDE - 1 for at in (y, x))
    found["orientation"] = canonical_orientation(up, left)[distinctive]
    return found


def _blobs(grey: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter, maximum_filter  # many commands measure no patch

    values = grey.astype(np.float32)
    band = gaussian_filter(values, _FINE) - gaussian_filter(values, _COARSE)
    strength = np.abs(band)
    peaks = (maximum_filter(strength, 5) == strength)[_REACH:-_REACH, _REACH:-_REACH]
    y, x = (at + _REACH for at in np.nonzero(peaks))
    order = np.argsort(-strength[y, x], kind="stable")[:_MAX_BLOBS]
    y, x = y[order], x[order]
    around, projections = _blob_sampling()
    samples = band[y[:, None] + around[:, 0], x[:, None] + around[:, 1]].astype(np.float64)
    spread = samples.std(axis=1)
    y, x, samples, spread = (each[spread > _FLAT] for each in (y, x, samples, spread))
    samples = (samples - samples.mean(axis=1, keepdims=True)) / spread[:, None]
    orientations = canonical_orientation(samples @ around[:, 0], samples @ around[:, 1])
    aligned = samples[np.arange(len(y))[:, None], _sample_permutations()[orientations]]
    found = np.zeros(len(y), KEYPOINT)
    found["key"] = (aligned @ projections > 0) @ (np.uint64(1) << np.arange(BITS, dtype=np.uint64))
    found["y"], found["x"], found["orientation"], found["kind"] = 2 * y, 2 * x, orientations, BLOB
    return found


@cache
def _random_words() -> tuple[np.ndarray, np.ndarray]:
    """Return a random word per grey value, uint64 (256,), and a symmetric weight per pixel of a window quadrant, uint64 (4, 4)."""
    rng = np.random.default_rng(20)
    words = rng.integers(0, 2**64, size=256 + 16, dtype=np.uint64) | np.uint64(1)
    weights = words[256:].reshape(4, 4)
    return words[:256], np.triu(weights) + np.triu(weights, 1).T


@cache
def _blob_sampling() -> tuple[np.ndarray, np.ndarray]:
    """Return the sampling offsets around a blob, int (49, 2) as (y, x), and the projection vectors, float (49, bits)."""
    steps = np.arange(-_REACH, _REACH + 1, _STEP)
    around = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    directions = np.random.default_rng(21).standard_normal((len(around), BITS))
    return around, directions - directions.mean(axis=0)


@cache
def _sample_permutations() -> np.ndarray:
    """Return the permutation of the samples for each orientation, int (8, 49)."""
    around = _blob_sampling()[0]
    index = {tuple(place): number for number, place in enumerate(around.tolist())}
    return np.array([[index[tuple(place)] for place in (around @ matrix).tolist()] for matrix in MATRICES])
