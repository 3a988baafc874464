"""The eight orientations of a square (four rotations, each also mirrored), in exact integer arithmetic.

An orientation is a number 0..7 and stands for a 2×2 matrix on (y, x): first mirror (bit 0: x, bit 1: y), then swap the axes
(bit 2).
"""

from __future__ import annotations

import numpy as np

SAME = 0


def _matrix(orientation: int) -> np.ndarray:
    mirror = np.diag([-1 if orientation & 2 else 1, -1 if orientation & 1 else 1])
    return (np.array([[0, 1], [1, 0]]) if orientation & 4 else np.eye(2, dtype=int)) @ mirror


MATRICES: np.ndarray = np.stack([_matrix(orientation) for orientation in range(8)])
"""int (8, 2, 2)."""


def _number(matrix: np.ndarray) -> int:
    return next(orientation for orientation in range(8) if np.array_equal(MATRICES[orientation], matrix))


def swaps_axes(orientation: int) -> bool:
    """Return whether it turns rows into columns: a rotation by 90° or 270°, or a mirroring along a diagonal."""
    return bool(orientation & 4)


FROM_TO: np.ndarray = np.array([[_number(MATRICES[b].T @ MATRICES[a]) for b in range(8)] for a in range(8)])
"""int (8, 8): the orientation that maps a patch of canonical orientation `a` (row) onto one of `b` (column)."""

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


def canonical_orientation(up: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return the orientation that normalises every pattern, so that all eight versions of it become equal.

    Args:
        up: first moment along y, (n,): the sum of pixel × distance from the centre.
        left: first moment along x, (n,).

    Returns:
        int (n,). After applying it both moments are positive and the one along y is the larger.
    """
    return np.asarray((left < 0) * 1 + (up < 0) * 2 + (np.abs(left) > np.abs(up)) * 4)


def oriented(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return the image in an orientation, (height, width) or (width, height)."""
    if orientation & 1:
        pixels = pixels[:, ::-1]
    if orientation & 2:
        pixels = pixels[::-1]
    return pixels.T if orientation & 4 else pixels
