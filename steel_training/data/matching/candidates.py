"""Candidate pairs: patches in different splits that may show the same steel, found by sorting, linear in the number of patches.

Keypoints with equal or nearly equal keys are neighbours after sorting. Each such match votes for a registration (orientation and
shift) of one patch to the other; a pair is a candidate if keypoints at two or more places agree. A single match is noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from steel_training.data.matching.keypoints import BITS, WINDOW
from steel_training.data.matching.symmetries import FROM_TO, MATRICES

# A key that many patches share is weak evidence for any pair of them, so only this many neighbours are compared.
_WINDOW_NEIGHBOURS = 8
# Blob keys are sorted in this many bit orders: for two keys that differ in a few bits, some order puts those bits last, and so the
# keys next to each other, however many keys there are (LSH forest, Bawa 2005).
_ORDERS = 4
_MIN_PLACES = 2
# Half pixels. JPEG and noise move a blob by a pixel or two.
_TOLERANCE = 4

_VOTE = np.dtype([("pair", "<i8"), ("shift_y", "<i2"), ("shift_x", "<i2"), ("y", "<i2"), ("x", "<i2")])
"""Both patches and the orientation packed into one number, the shift of the match, and its position in the first patch."""


class Reach(NamedTuple):
    """How different the keys of matching blobs may be.

    Attributes:
        neighbours: number of neighbours compared in each sort order.
        differing: maximum number of the 64 key bits that differ.
    """

    neighbours: int
    differing: int


NEAR, WIDE = Reach(4, 5), Reach(8, 8)
"""A wider reach adds more random candidates, which push true ones down the ranking. `WIDE` finds a few more true pairs if all
candidates are checked."""


@dataclass(frozen=True)
class Candidates:
    """Pairs to check by registration, best supported first.

    Attributes:
        first: row of one patch, int (n,).
        second: row of the other, int (n,); it comes later.
        orientation: that aligns the first patch with the second, int (n,).
        shift: position (y, x) of its pixel (0, 0) on the second patch then, half pixels, int (n, 2).
        places: number of agreeing places, int (n,).
    """

    first: np.ndarray
    second: np.ndarray
    orientation: np.ndarray
    shift: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def candidates(keypoints: np.ndarray, patch: np.ndarray, split: np.ndarray, reach: Reach = NEAR) -> Candidates:
    """Find candidate pairs in different splits.

    Args:
        keypoints: `KEYPOINT` (n,) of all patches, concatenated.
        patch: row of the patch of every keypoint, ascending, int (n,).
        split: number of the split of every patch, int (patches,).
        reach: how different the keys of matching blobs may be.
    """
    windows = keypoints["kind"] == WINDOW
    votes = np.concatenate(
        [
            np.empty(0, _VOTE),
            *_votes(keypoints[windows], patch[windows], split, 1, Reach(_WINDOW_NEIGHBOURS, 0)),
            *_votes(keypoints[~windows], patch[~windows], split, _ORDERS, reach),
        ]
    )
    # Most votes are random and have no second vote for their pair; drop them before building the table.
    _, number, times = np.unique(votes["pair"], return_inverse=True, return_counts=True)
    votes = votes[times[number] >= _MIN_PLACES]
    pairs, orientation = votes["pair"] // len(MATRICES), votes["pair"] % len(MATRICES)
    table = np.column_stack(
        [
            pairs // max(len(split), 1),
            pairs % max(len(split), 1),
            orientation,
            *(votes[name] for name in ("shift_y", "shift_x", "y", "x")),
        ]
    )
    # A match that was found in several orders counts once.
    return _agreed(np.unique(table.astype(np.int64), axis=0))


def _votes(
    keypoints: np.ndarray, patch: np.ndarray, split: np.ndarray, orders: int, reach: Reach
) -> Iterator[np.ndarray]:
    """Yield the votes of keypoints of one kind for pairs in different splits, `_VOTE` (n,), per sort order and neighbour distance."""
    for first in range(0, BITS, BITS // orders):
        # Rotate the bits, so that each order sorts by different ones first.
        keys = keypoints["key"] << np.uint64(first) | keypoints["key"] >> np.uint64(-first % BITS)
        order = np.argsort(keys, kind="stable")
        keys, owner = keys[order], patch[order]
        side = split[owner]
        for step in range(1, min(reach.neighbours, len(keys) - 1) + 1):
            near = np.bitwise_count(keys[step:] ^ keys[:-step]) <= reach.differing
            here = np.flatnonzero(near & (side[step:] != side[:-step]))
            # The earlier patch is the first of the pair, however the keys are sorted.
            rows, others = order[here], order[here + step]
            late = patch[rows] > patch[others]
            rows, others = np.where(late, others, rows), np.where(late, rows, others)
            a, b = keypoints[rows], keypoints[others]
            orientation = FROM_TO[a["orientation"], b["orientation"]]
            at, to = (np.stack([each["y"], each["x"]], axis=1).astype(np.int64) for each in (a, b))
            shift = to - np.einsum("nij,nj->ni", MATRICES[orientation], at)
            votes = np.empty(len(here), _VOTE)
            votes["pair"] = (patch[rows].astype(np.int64) * len(split) + patch[others]) * len(MATRICES) + orientation
            votes["shift_y"], votes["shift_x"] = shift.T
            votes["y"], votes["x"] = at.T
            yield votes


def _agreed(votes: np.ndarray) -> Candidates:
    """Keep the pairs and orientations on whose shift enough places agree."""
    votes = votes[np.lexsort((votes[:, 2], votes[:, 1], votes[:, 0]))]
    starts = _starts(votes[:, :3])
    sizes = np.diff(np.append(starts, len(votes)))
    votes, sizes = votes[np.repeat(sizes >= _MIN_PLACES, sizes)], sizes[sizes >= _MIN_PLACES]
    member = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.cumsum(sizes) - sizes
    middle = np.stack(
        [votes[np.lexsort((votes[:, column], member)), column][starts + sizes // 2] for column in (3, 4)], axis=1
    )
    near = (np.abs(votes[:, 3:5] - middle[member]) <= _TOLERANCE).all(axis=1)
    # A blob may vote twice, for shifts a pixel apart.
    agreeing = np.unique(np.column_stack([member, votes[:, 5:7]])[near], axis=0)
    places = np.bincount(agreeing[:, 0], minlength=len(sizes))
    best = np.flatnonzero(places >= _MIN_PLACES)
    best = best[np.argsort(-places[best], kind="stable")]
    head = votes[starts[best]]
    return Candidates(head[:, 0], head[:, 1], head[:, 2], middle[best], places[best])


def _starts(rows: np.ndarray) -> np.ndarray:
    """Return the start of every run of equal rows, int (runs,)."""
    if not len(rows):
        return np.empty(0, int)
    return np.append(0, 1 + np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1)))
