"""Grain between structures is alike on the same steel only, however much the structures are alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from steel_training.data.matching.grain import grain_agreement
from steel_training.data.matching.symmetries import MATRICES, oriented

SAME_PLACE = (0, 0)


def steel(seed: int, contrast: float = 4.0) -> np.ndarray:
    return 110 + contrast * gaussian_filter(np.random.default_rng(seed).standard_normal((64, 64)), 0.8)


def rounded(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def ribbed(image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    return image + sum(70 * np.exp(-((((x + lean * y) % 40 - 20) / 2.5) ** 2)) for lean in (0.6, -0.6))


def test_grain_under_one_relief_tells_steel_apart() -> None:
    relief = rounded(ribbed(steel(1)))
    assert grain_agreement(relief, rounded(ribbed(steel(1) + 0.3 * (steel(3) - 110))), 0, SAME_PLACE) > 0.8
    assert abs(grain_agreement(relief, rounded(ribbed(steel(2))), 0, SAME_PLACE)) < 0.3


@pytest.mark.parametrize("orientation", range(8))
def test_grain_is_compared_in_any_orientation(orientation: int) -> None:
    image = rounded(ribbed(steel(4)))
    back = next(each for each in range(8) if np.array_equal(MATRICES[each], MATRICES[orientation].T))
    assert grain_agreement(oriented(image, orientation), image, back, SAME_PLACE) > 0.95


def test_grain_of_an_overlap_is_compared_where_it_lies() -> None:
    wide = rounded(110 + 5 * gaussian_filter(np.random.default_rng(5).standard_normal((64, 96)), 0.8))
    assert grain_agreement(wide[:, :64], wide[:, 32:], 0, (0, -32)) > 0.95
    assert abs(grain_agreement(wide[:, :64], wide[:, 32:], 0, (0, -30))) < 0.3


def test_image_without_grain_is_no_evidence() -> None:
    ruler = np.full((64, 64), 225, np.uint8)
    ruler[:20, ::9] = 25
    assert grain_agreement(ruler, ruler, 0, SAME_PLACE) == 0


def test_too_few_plain_places_are_not_judged() -> None:
    image = rounded(ribbed(steel(6)))
    assert grain_agreement(image, image, 0, (0, 62)) is None
    assert grain_agreement(image, image, 0, (0, 70)) is None
