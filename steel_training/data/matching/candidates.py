"""Pairs of patches in different parts that may show one piece of steel, found by sorting: linear in the patches.

Anchors of one key, or nearly one, are neighbours after a sort. Each two of them say how one patch would lie on the other (turn
and shift); a pair is a candidate where anchors at two places or more say the same. What is not told by two places is chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from steel_training.data.matching.keypoints import BITS, BLOCK
from steel_training.data.matching.symmetries import FROM_TO, MATRICES

# A key that many patches share tells little of any two of them; each is held against so many neighbours only.
_NEIGHBOURS_OF_BLOCKS = 8
# Keys of spots are sorted by so many orders of their bits: of two that differ in a few, some order puts those last and the two
# beside each other, however many keys there are (LSH forest, Bawa 2005).
_ORDERS = 4
_PLACES = 2
# Half pixels. JPEG and noise move a spot by a pixel or two.
_TOLERANCE = 4

_VOTE = np.dtype([("pair", "<i8"), ("shift_y", "<i2"), ("shift_x", "<i2"), ("y", "<i2"), ("x", "<i2")])
"""Both patches and the turn in one number, the shift that an anchor tells, and where in the first patch it lies."""


class Reach(NamedTuple):
    """How far two spots may be apart.

    Attributes:
        neighbours: so many are looked at in each order of the keys.
        differing: so many of the 64 bits of their keys may differ.
    """

    neighbours: int
    differing: int


NEAR, WIDE = Reach(4, 5), Reach(8, 8)
"""The more is allowed, the more candidates are chance, and the right ones are no longer among the first. `WIDE` finds a few more
where all candidates are looked at."""


@dataclass(frozen=True)
class Candidates:
    """Pairs worth a look, best supported first.

    Attributes:
        first: row of one patch, int (n,).
        second: row of the other, int (n,); it comes later.
        turn: how the first must be turned to lie on the second, int (n,).
        shift: where (y, x) its pixel (0, 0) then comes to lie, in half pixels before any cut at the edge, int (n, 2).
        places: how many places say so, int (n,).
    """

    first: np.ndarray
    second: np.ndarray
    turn: np.ndarray
    shift: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def candidates(anchors: np.ndarray, patch: np.ndarray, part: np.ndarray, reach: Reach = NEAR) -> Candidates:
    """Finds pairs in different parts.

    Args:
        anchors: `ANCHOR` (n,) of all patches, patch after patch.
        patch: row of the patch of every anchor, ascending, int (n,).
        part: number of the part of every patch, int (patches,).
        reach: how far two spots may be apart.
    """
    blocks = anchors["kind"] == BLOCK
    votes = np.concatenate(
        [
            np.empty(0, _VOTE),
            *_votes(anchors[blocks], patch[blocks], part, 1, Reach(_NEIGHBOURS_OF_BLOCKS, 0)),
            *_votes(anchors[~blocks], patch[~blocks], part, _ORDERS, reach),
        ]
    )
    # Most votes are chance and stand alone: only the others are worth a table.
    _, number, times = np.unique(votes["pair"], return_inverse=True, return_counts=True)
    votes = votes[times[number] >= _PLACES]
    pairs, turn = votes["pair"] // len(MATRICES), votes["pair"] % len(MATRICES)
    table = np.column_stack(
        [
            pairs // max(len(part), 1),
            pairs % max(len(part), 1),
            turn,
            *(votes[name] for name in ("shift_y", "shift_x", "y", "x")),
        ]
    )
    # A spot that was found in several orders is one place.
    return _agreed(np.unique(table.astype(np.int64), axis=0))


def _votes(anchors: np.ndarray, patch: np.ndarray, part: np.ndarray, orders: int, reach: Reach) -> Iterator[np.ndarray]:
    """Yields what anchors of one kind say of pairs in different parts, `_VOTE` (n,), for each order and step to a neighbour."""
    for first in range(0, BITS, BITS // orders):
        # The bits go round, so that each order sorts by others first.
        keys = anchors["key"] << np.uint64(first) | anchors["key"] >> np.uint64(-first % BITS)
        order = np.argsort(keys, kind="stable")
        keys, owner = keys[order], patch[order]
        side = part[owner]
        for step in range(1, min(reach.neighbours, len(keys) - 1) + 1):
            near = np.bitwise_count(keys[step:] ^ keys[:-step]) <= reach.differing
            here = np.flatnonzero(near & (side[step:] != side[:-step]))
            # The earlier patch comes first, however the keys are sorted.
            rows, others = order[here], order[here + step]
            late = patch[rows] > patch[others]
            rows, others = np.where(late, others, rows), np.where(late, rows, others)
            a, b = anchors[rows], anchors[others]
            turn = FROM_TO[a["turn"], b["turn"]]
            at, to = (np.stack([each["y"], each["x"]], axis=1).astype(np.int64) for each in (a, b))
            shift = to - np.einsum("nij,nj->ni", MATRICES[turn], at)
            votes = np.empty(len(here), _VOTE)
            votes["pair"] = (patch[rows].astype(np.int64) * len(part) + patch[others]) * len(MATRICES) + turn
            votes["shift_y"], votes["shift_x"] = shift.T
            votes["y"], votes["x"] = at.T
            yield votes


def _agreed(votes: np.ndarray) -> Candidates:
    """Keeps the pairs and turns on whose shift enough places agree."""
    votes = votes[np.lexsort((votes[:, 2], votes[:, 1], votes[:, 0]))]
    starts = _starts(votes[:, :3])
    sizes = np.diff(np.append(starts, len(votes)))
    votes, sizes = votes[np.repeat(sizes >= _PLACES, sizes)], sizes[sizes >= _PLACES]
    member = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.cumsum(sizes) - sizes
    middle = np.stack(
        [votes[np.lexsort((votes[:, column], member)), column][starts + sizes // 2] for column in (3, 4)], axis=1
    )
    near = (np.abs(votes[:, 3:5] - middle[member]) <= _TOLERANCE).all(axis=1)
    # A spot may vote twice for shifts a pixel apart.
    agreeing = np.unique(np.column_stack([member, votes[:, 5:7]])[near], axis=0)
    places = np.bincount(agreeing[:, 0], minlength=len(sizes))
    best = np.flatnonzero(places >= _PLACES)
    best = best[np.argsort(-places[best], kind="stable")]
    head = votes[starts[best]]
    return Candidates(head[:, 0], head[:, 1], head[:, 2], middle[best], places[best])


def _starts(rows: np.ndarray) -> np.ndarray:
    """Returns where runs of equal rows begin."""
    if not len(rows):
        return np.empty(0, int)
    return np.append(0, 1 + np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1)))
