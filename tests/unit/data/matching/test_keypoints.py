"""Keypoints of a patch survive rotation, mirroring and a shifted crop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.data.matching.keypoints import WINDOW, keypoints_of
from steel_training.data.matching.symmetries import oriented


def keys(image: np.ndarray, *, windows: bool) -> set[tuple[int, int]]:
    found = keypoints_of(image)
    return {(int(each["kind"]), int(each["key"])) for each in found if (each["kind"] == WINDOW) == windows}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), orientation=st.integers(0, 7), spread=st.floats(1.0, 40.0))
def test_keys_are_invariant_to_orientation(seed: int, orientation: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    image = np.clip(np.rint(random.normal(120, spread, (64, 64))), 0, 255).astype(np.uint8)
    assert keys(image, windows=True) == keys(oriented(image, orientation), windows=True)
    kept = keys(image, windows=False) & keys(oriented(image, orientation), windows=False)
    assert len(kept) >= 0.8 * len(keys(image, windows=False))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), y=st.integers(0, 40), x=st.integers(0, 40))
def test_overlapping_patches_share_their_windows(seed: int, y: int, x: int) -> None:
    wide = np.random.default_rng(seed).integers(0, 256, (110, 110), dtype=np.uint8)
    one, other = keypoints_of(wide[:64, :64]), keypoints_of(wide[y : y + 64, x : x + 64])
    places = [
        {(a["y"] + 2 * dy, a["x"] + 2 * dx) for a in found if a["kind"] == WINDOW}
        for found, dy, dx in ((one, 0, 0), (other, y, x))
    ]
    inside = {(py, px) for py, px in places[0] if py >= 2 * y + 7 and px >= 2 * x + 7}
    assert inside <= places[1]


@pytest.mark.parametrize("image", [np.full((64, 64), 7, np.uint8), np.zeros((1, 1), np.uint8)], ids=["flat", "pixel"])
def test_featureless_patches_have_no_keypoints(image: np.ndarray) -> None:
    assert len(keypoints_of(image)) == 0


def test_edge_between_flat_areas_is_no_window() -> None:
    image = np.zeros((64, 64), np.uint8)
    image[:, 30:] = 200
    assert not keys(image, windows=True)


def test_keypoint_count_is_bounded_for_large_patches() -> None:
    random = np.random.default_rng(2)
    for side in (32, 64, 256, 512):
        assert len(keypoints_of(random.integers(0, 256, (side, side), dtype=np.uint8))) < 500
