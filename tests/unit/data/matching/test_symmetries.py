"""The eight orientations: matrices and image operations agree."""

from __future__ import annotations

import numpy as np
import pytest

from steel_training.data.matching.symmetries import FROM_TO, MATRICES, canonical_orientation, oriented


@pytest.mark.parametrize("orientation", range(8))
def test_oriented_image_agrees_with_its_matrix(orientation: int) -> None:
    image = np.arange(35).reshape(5, 7)
    places = np.argwhere(image >= 0)
    moved = places @ MATRICES[orientation].T
    moved -= moved.min(axis=0)
    assert np.array_equal(oriented(image, orientation)[moved[:, 0], moved[:, 1]], image.ravel())


def test_from_to_maps_between_canonical_orientations() -> None:
    image = np.arange(36).reshape(6, 6)
    for a in range(8):
        for b in range(8):
            # Both become equal in their canonical orientation.
            seen_a = next(
                oriented(image, t) for t in range(8) if np.array_equal(oriented(oriented(image, t), a), image)
            )
            seen_b = next(
                oriented(image, t) for t in range(8) if np.array_equal(oriented(oriented(image, t), b), image)
            )
            assert np.array_equal(oriented(seen_a, FROM_TO[a, b]), seen_b)


def test_canonical_orientation_is_unique() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8))
    from_centre = 2 * np.arange(8) - 7
    positions = []
    for orientation in range(8):
        seen = oriented(image, orientation)
        own = canonical_orientation(np.array([seen.sum(1) @ from_centre]), np.array([seen.sum(0) @ from_centre]))[0]
        positions.append(oriented(seen, own))
    assert all(np.array_equal(position, positions[0]) for position in positions)
