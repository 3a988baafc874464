"""Pairs of patches in different parts that may show one piece of steel, found by sorting: linear in the patches.

Anchors of one key are neighbours after a sort. Each two of them say how one patch would lie on the other (turn and shift);
a pair is a candidate where anchors at two places or more say the same. What is not told by two places is chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steel_training.leakage.turns import FROM_TO, MATRICES

# A key that many patches share tells little of any two of them; each is held against so many neighbours only.
_NEIGHBOURS = 8
_PLACES = 2
# Half pixels. JPEG and noise move a spot by a pixel or two.
_TOLERANCE = 4

_VOTE = np.dtype([("pair", "<i8"), ("shift_y", "<i2"), ("shift_x", "<i2"), ("y", "<i2"), ("x", "<i2")])
"""Both patches and the turn in one number, the shift that an anchor tells, and where in the first patch it lies."""


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


def candidates(anchors: np.ndarray, patch: np.ndarray, part: np.ndarray) -> Candidates:
    """Finds pairs in different parts.

    Args:
        anchors: `ANCHOR` (n,) of all patches, patch after patch.
        patch: row of the patch of every anchor, ascending, int (n,).
        part: number of the part of every patch, int (patches,).
    """
    votes = np.concatenate(
        [
            np.empty(0, _VOTE),
            *(
                _votes(anchors[rows], patch[rows], part)
                for kind in np.unique(anchors["kind"])
                for rows in [np.flatnonzero(anchors["kind"] == kind)]
            ),
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
    # The tables of one spot are one place.
    return _agreed(np.unique(table.astype(np.int64), axis=0))


def _votes(anchors: np.ndarray, patch: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Returns what anchors of one kind say of pairs in different parts, `_VOTE` (n,)."""
    order = np.argsort(anchors["key"], kind="stable")
    keys, owner = anchors["key"][order], patch[order]
    side = part[owner]
    found = [np.empty(0, _VOTE)]
    for step in range(1, min(_NEIGHBOURS, len(keys) - 1) + 1):
        here = np.flatnonzero((keys[step:] == keys[:-step]) & (side[step:] != side[:-step]))
        a, b = anchors[order[here]], anchors[order[here + step]]
        turn = FROM_TO[a["turn"], b["turn"]]
        at, to = (np.stack([each["y"], each["x"]], axis=1).astype(np.int64) for each in (a, b))
        shift = to - np.einsum("nij,nj->ni", MATRICES[turn], at)
        votes = np.empty(len(here), _VOTE)
        votes["pair"] = (owner[here].astype(np.int64) * len(part) + owner[here + step]) * len(MATRICES) + turn
        votes["shift_y"], votes["shift_x"] = shift.T
        votes["y"], votes["x"] = at.T
        found.append(votes)
    return np.concatenate(found)


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
