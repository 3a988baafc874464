"""What is left when one patch is fitted to the other: noise on the same steel, steel on another plate under the same relief."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from steel_training.data.matching.residual import Residual, residual
from steel_training.data.matching.symmetries import MATRICES, oriented

SAME_PLACE = (0, 0)


def shows_other_steel(
    first: np.ndarray, second: np.ndarray, orientation: int, shift: tuple[int, int], grain: float = 0.7
) -> bool:
    left = residual(first, second, orientation, shift)
    return left is not None and left.is_other_steel(grain)


def steel(seed: int, contrast: float = 12.0) -> np.ndarray:
    return 110 + contrast * gaussian_filter(np.random.default_rng(seed).standard_normal((64, 64)), 0.8)


def embossed(image: np.ndarray, strength: float = 0.3) -> np.ndarray:
    """Under a texture without a plain place, pressed in by the same roll."""
    texture = gaussian_filter(np.random.default_rng(0).standard_normal((64, 64)), 2.0)
    return image * (1 + strength * texture / np.abs(texture).max())


def rounded(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def test_other_steel_under_the_same_texture_is_told() -> None:
    assert shows_other_steel(rounded(embossed(steel(1))), rounded(embossed(steel(2))), 0, SAME_PLACE)


@given(seed=st.integers(0, 10_000), dark=st.floats(0.25, 1.0))
def test_other_steel_is_told_on_a_dark_plate_beside_a_bright_one(seed: int, dark: float) -> None:
    """The darker a patch, the fewer grey values are left of it: what is left is held against its noise."""
    bright, other = embossed(steel(seed)), embossed(steel(seed + 1)) * dark
    assert shows_other_steel(rounded(bright), rounded(other), 0, SAME_PLACE)
    assert shows_other_steel(rounded(other), rounded(bright), 0, SAME_PLACE)


def test_more_is_asked_where_the_grain_agrees() -> None:
    """By real overlaps: JPEG and a shift by half a pixel leave more than noise of steel whose grain is coarse."""
    left = Residual(coarse=(10.7, 11.4), fine=(5.7, 6.4))
    assert not left.is_other_steel(grain=0.85)
    assert left.is_other_steel(grain=0.7)


def test_same_steel_leaves_nothing() -> None:
    image = rounded(embossed(steel(1)))
    left = residual(image, image, 0, SAME_PLACE)
    assert left is not None
    assert left.is_slight
    assert not left.is_other_steel(grain=0.7)


def test_noise_is_not_slight_and_no_other_steel() -> None:
    image = embossed(steel(1))
    left = residual(rounded(image), rounded(image + np.random.default_rng(9).normal(0, 6, image.shape)), 0, SAME_PLACE)
    assert left is not None
    assert not left.is_slight
    assert not left.is_other_steel(grain=0.7)


@given(
    seed=st.integers(0, 10_000),
    gain=st.floats(0.7, 1.3),
    gamma=st.floats(0.85, 1.2),
    noise=st.floats(0, 10),
)
def test_no_exposure_and_no_noise_makes_other_steel_of_a_copy(
    seed: int, gain: float, gamma: float, noise: float
) -> None:
    image = embossed(steel(seed))
    exposed = 255 * (image / 255) ** gamma * gain
    again = rounded(exposed + np.random.default_rng(seed).normal(0, noise, image.shape))
    assert not shows_other_steel(rounded(image), again, 0, SAME_PLACE)


@pytest.mark.parametrize("orientation", range(8))
def test_patches_are_compared_as_they_lie_on_each_other(orientation: int) -> None:
    image = rounded(embossed(steel(4)))
    back = next(each for each in range(8) if np.array_equal(MATRICES[each], MATRICES[orientation].T))
    assert not shows_other_steel(oriented(image, orientation), image, back, SAME_PLACE)
    wrong = next(each for each in range(8) if each != back)
    assert shows_other_steel(oriented(image, orientation), image, wrong, SAME_PLACE)


def test_saturated_places_are_no_evidence() -> None:
    image = embossed(steel(5), strength=0.9) * 1.6
    assert not shows_other_steel(rounded(image), rounded(image * 1.3), 0, SAME_PLACE)
    white = np.full((64, 64), 255, np.uint8)
    assert not shows_other_steel(white, rounded(embossed(steel(5))), 0, SAME_PLACE)


def test_patch_that_shows_nothing_contradicts_nothing() -> None:
    flat = np.full((64, 64), 90, np.uint8)
    for other in (flat, rounded(steel(6))):
        assert not shows_other_steel(flat, other, 0, SAME_PLACE)
