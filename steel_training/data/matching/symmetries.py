"""The eight ways to lay a square: four turns, each as seen or mirrored, with exact integer arithmetic.

A turn is a number 0..7 and stands for a 2×2 matrix on (y, x): first mirror (bit 0: x, bit 1: y), then swap the axes (bit 2).
"""

from __future__ import annotations

import numpy as np

SAME = 0


def _matrix(turn: int) -> np.ndarray:
    mirror = np.diag([-1 if turn & 2 else 1, -1 if turn & 1 else 1])
    return (np.array([[0, 1], [1, 0]]) if turn & 4 else np.eye(2, dtype=int)) @ mirror


MATRICES: np.ndarray = np.stack([_matrix(turn) for turn in range(8)])
"""int (8, 2, 2)."""


def _number(matrix: np.ndarray) -> int:
    return next(turn for turn in range(8) if np.array_equal(MATRICES[turn], matrix))


FROM_TO: np.ndarray = np.array([[_number(MATRICES[b].T @ MATRICES[a]) for b in range(8)] for a in range(8)])
"""int (8, 8): what leads from a patch whose own turn is the first index to one whose own turn is the second."""

NAMES = (
    "as it is",
    "mirrored left to right",
    "mirrored top to bottom",
    "rotated by 180°",
    "mirrored along the diagonal",
    "rotated by 90°",
    "rotated by 270°",
    "mirrored along the other diagonal",
)


def own_turn(up: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Returns the turn that brings every pattern into a position of its own, whatever turn it was seen in.

    Args:
        up: first moment along y, (n,): the sum of pixel × distance from the centre.
        left: first moment along x, (n,).

    Returns:
        int (n,). After it both moments are positive and the one along y is the larger.
    """
    return np.asarray((left < 0) * 1 + (up < 0) * 2 + (np.abs(left) > np.abs(up)) * 4)


def turned(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Returns the image in a turn, (height, width) or (width, height)."""
    if turn & 1:
        pixels = pixels[:, ::-1]
    if turn & 2:
        pixels = pixels[::-1]
    return pixels.T if turn & 4 else pixels
