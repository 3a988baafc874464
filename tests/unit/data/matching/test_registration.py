"""What a patch has in common with itself: a roller looks the same upside down, steel does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from steel_training.data.matching.registration import register, symmetry
from steel_training.data.matching.symmetries import MATRICES, NAMES, oriented

UPSIDE_DOWN = NAMES.index("mirrored top to bottom")
TURNED = range(1, len(NAMES))


def steel(seed: int, side: int = 64) -> np.ndarray:
    ground = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), 0.8)
    return np.rint(110 + 30 * ground).clip(0, 255).astype(np.uint8)


def rollers(seed: int, deep: int = 46) -> np.ndarray:
    """Rollers with a chain in their middle above steel, with noise; they end before the patch does."""
    random, (y, x) = np.random.default_rng(seed), np.mgrid[:64, :64]
    chain = 30 + 90 * (np.hypot((x / 13) % 1 - 0.5, (y - deep / 2) / 13) < 0.35)
    machine = np.where(np.abs(y - deep / 2) < 13, chain, 60 + 50 * np.cos(2 * np.pi * x / 36) ** 3)
    shot = np.where(y < deep, gaussian_filter(machine, 0.8) + random.normal(0, 2, y.shape), steel(seed))
    return np.rint(shot).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("orientation", TURNED)
def test_steel_agrees_with_a_turned_copy_and_not_with_itself(orientation: int) -> None:
    for seed in range(10):
        first = steel(seed)
        copy = register(oriented(first, orientation), first, inverse(orientation), corner(orientation))
        assert copy.score > 80
        assert symmetry(first, orientation) < 6


def test_rollers_agree_with_themselves_as_well_as_with_others() -> None:
    for seed in range(10):
        first, second = rollers(seed), rollers(seed + 100)
        other = max(register(first, second, UPSIDE_DOWN, np.array([126 + 2 * y, 0])).score for y in range(-22, -12))
        assert other > 15
        assert symmetry(first, UPSIDE_DOWN) > 0.5 * other


def test_patches_that_are_not_square_are_measured() -> None:
    for orientation in TURNED:
        assert symmetry(steel(1)[:20], orientation) < 10


def inverse(orientation: int) -> int:
    return next(each for each in range(8) if np.array_equal(MATRICES[each] @ MATRICES[orientation], np.eye(2)))


def corner(orientation: int) -> np.ndarray:
    """The place of pixel (0, 0) of a turned patch of 64 pixels after it is turned back, half pixels."""
    return np.maximum(-(MATRICES[inverse(orientation)] @ (2 * np.array([63, 63]))), 0)
