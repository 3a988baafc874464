"""What a patch is found again by: small places in it, each with a key that survives turning, shifting and more.

Two kinds, because each sees what the other cannot:

- a *block* is 8×8 pixels whose content picks itself out (its hash ends in zeros, Manber 1994), keyed by the exact pixels.
  Every lossless overlap shares blocks, however smooth the steel; one changed pixel in a block loses it.
- a *spot* is a bright or dark spot of the band-passed surface, keyed by the signs of random projections of what surrounds
  it (locality-sensitive hashing, Charikar 2002). It survives JPEG, another exposure, noise; it needs some texture.

Keys do not depend on how the patch is turned or mirrored: blocks are hashed over the eight turns together, and spots are
first laid into a turn of their own. The turn is kept, so that two places of one key say how one patch lies on the other.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from steel_training.data.matching.symmetries import MATRICES, own_turn

ANCHOR = np.dtype([("key", "<u8"), ("y", "<i2"), ("x", "<i2"), ("turn", "u1"), ("kind", "u1")])
"""Place in half pixels, own turn, and kind: `BLOCK` or `SPOT`."""

BLOCK, SPOT = 0, 1

_SIDE = 8
_BLOCKS_AIMED_AT = 100
# A block that is nearly flat, or two flat fields with an edge between, is found all over a mill.
_MOST_OF_ONE_GREY = 0.7
_FEWEST_GREYS = 5

_SPOTS = 48
# Pixels. JPEG at quality 90 leaves what is coarser than `_FINE`; a cut edge disturbs what is finer than `_COARSE` least.
_FINE, _COARSE = 1.5, 4.0
_REACH, _STEP = 6, 2
BITS = 64
_SMALLEST = 2 * _REACH + 4
_FLAT = 0.25


def anchors_of(grey: np.ndarray) -> np.ndarray:
    """Returns the anchors of a patch.

    Args:
        grey: uint8, (height, width).

    Returns:
        `ANCHOR` (n,), n about 150; empty for a patch that is flat, or below 16 pixels a side.
    """
    if min(grey.shape) < _SMALLEST:
        return np.empty(0, ANCHOR)
    return np.concatenate([_blocks(grey), _spots(grey)])


def _blocks(grey: np.ndarray) -> np.ndarray:
    values, weights = _random_words()
    height, width = (side - _SIDE + 1 for side in grey.shape)
    words = values[grey]
    hashed = np.zeros((height, width), np.uint64)
    columns = [words[:, j : j + width] + words[:, _SIDE - 1 - j : _SIDE - 1 - j + width] for j in range(_SIDE // 2)]
    for j, column in enumerate(columns):
        for i in range(_SIDE // 2):
            hashed += weights[i, j] * (column[i : i + height] + column[_SIDE - 1 - i : _SIDE - 1 - i + height])
    hashed ^= hashed >> np.uint64(29)
    hashed *= np.uint64(0xBF58476D1CE4E5B9)
    hashed ^= hashed >> np.uint64(32)
    # A power of two, so that patches of unlike sizes pick the same blocks.
    zeros = max(0, int(np.log2(height * width / _BLOCKS_AIMED_AT)))
    y, x = np.nonzero((hashed & np.uint64(2**zeros - 1)) == 0)
    windows = np.lib.stride_tricks.sliding_window_view(grey, (_SIDE, _SIDE))[y, x].astype(np.int64)
    pixels = np.sort(windows.reshape(len(y), _SIDE**2), axis=1)
    changes = np.diff(pixels, axis=1) != 0
    # Sorted, a grey value that fills a share of the block stands at both ends of a run that long.
    run = int(_MOST_OF_ONE_GREY * _SIDE**2)
    telling = (changes.sum(1) >= _FEWEST_GREYS - 1) & ~(pixels[:, run:] == pixels[:, : _SIDE**2 - run]).any(1)
    from_centre = 2 * np.arange(_SIDE) - (_SIDE - 1)
    up, left = windows.sum(2) @ from_centre, windows.sum(1) @ from_centre
    telling &= (up != 0) & (left != 0) & (np.abs(up) != np.abs(left))
    found = np.zeros(int(telling.sum()), ANCHOR)
    found["key"] = hashed[y, x][telling]
    found["y"], found["x"] = (2 * at[telling] + _SIDE - 1 for at in (y, x))
    found["turn"] = own_turn(up, left)[telling]
    return found


def _spots(grey: np.ndarray) -> np.ndarray:
    values = grey.astype(np.float32)
    band = gaussian_filter(values, _FINE) - gaussian_filter(values, _COARSE)
    strength = np.abs(band)
    peaks = (maximum_filter(strength, 5) == strength)[_REACH:-_REACH, _REACH:-_REACH]
    y, x = (at + _REACH for at in np.nonzero(peaks))
    order = np.argsort(-strength[y, x], kind="stable")[:_SPOTS]
    y, x = y[order], x[order]
    around, projections = _spot_geometry()
    seen = band[y[:, None] + around[:, 0], x[:, None] + around[:, 1]].astype(np.float64)
    spread = seen.std(axis=1)
    y, x, seen, spread = (each[spread > _FLAT] for each in (y, x, seen, spread))
    seen = (seen - seen.mean(axis=1, keepdims=True)) / spread[:, None]
    turns = own_turn(seen @ around[:, 0], seen @ around[:, 1])
    laid = seen[np.arange(len(y))[:, None], _as_laid()[turns]]
    found = np.zeros(len(y), ANCHOR)
    found["key"] = (laid @ projections > 0) @ (np.uint64(1) << np.arange(BITS, dtype=np.uint64))
    found["y"], found["x"], found["turn"], found["kind"] = 2 * y, 2 * x, turns, SPOT
    return found


@cache
def _random_words() -> tuple[np.ndarray, np.ndarray]:
    """Returns a word for every grey value, (256,), and one for every place of a block's quarter, (4, 4), symmetric."""
    rng = np.random.default_rng(20)
    words = rng.integers(0, 2**64, size=256 + 16, dtype=np.uint64) | np.uint64(1)
    weights = words[256:].reshape(4, 4)
    return words[:256], np.triu(weights) + np.triu(weights, 1).T


@cache
def _spot_geometry() -> tuple[np.ndarray, np.ndarray]:
    """Returns where a spot is sampled, (49, 2) as (y, x), and the directions it is projected on, (49, bits)."""
    steps = np.arange(-_REACH, _REACH + 1, _STEP)
    around = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    directions = np.random.default_rng(21).standard_normal((len(around), BITS))
    return around, directions - directions.mean(axis=0)


@cache
def _as_laid() -> np.ndarray:
    """Returns for each turn which sample stands at each place after it, int (8, 49)."""
    around = _spot_geometry()[0]
    index = {tuple(place): number for number, place in enumerate(around.tolist())}
    return np.array([[index[tuple(place)] for place in (around @ matrix).tolist()] for matrix in MATRICES])
