"""The eight turns, as matrices and as images, are one and the same."""

from __future__ import annotations

import numpy as np
import pytest

from steel_training.data.matching.symmetries import FROM_TO, MATRICES, own_turn, turned


@pytest.mark.parametrize("turn", range(8))
def test_a_turned_image_has_its_pixels_where_the_matrix_puts_them(turn: int) -> None:
    image = np.arange(35).reshape(5, 7)
    places = np.argwhere(image >= 0)
    moved = places @ MATRICES[turn].T
    moved -= moved.min(axis=0)
    assert np.array_equal(turned(image, turn)[moved[:, 0], moved[:, 1]], image.ravel())


def test_what_leads_from_one_turn_to_another_undoes_the_first_and_does_the_second() -> None:
    image = np.arange(36).reshape(6, 6)
    for a in range(8):
        for b in range(8):
            # Both are brought into one position by their own turn.
            seen_a = next(turned(image, t) for t in range(8) if np.array_equal(turned(turned(image, t), a), image))
            seen_b = next(turned(image, t) for t in range(8) if np.array_equal(turned(turned(image, t), b), image))
            assert np.array_equal(turned(seen_a, FROM_TO[a, b]), seen_b)


def test_every_pattern_has_one_position_of_its_own() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8))
    from_centre = 2 * np.arange(8) - 7
    positions = []
    for turn in range(8):
        seen = turned(image, turn)
        own = own_turn(np.array([seen.sum(1) @ from_centre]), np.array([seen.sum(0) @ from_centre]))[0]
        positions.append(turned(seen, own))
    assert all(np.array_equal(position, positions[0]) for position in positions)
