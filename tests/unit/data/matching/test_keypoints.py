"""A patch keeps its anchors when it is turned, cut out elsewhere, or stored as another file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.data.matching.keypoints import BLOCK, anchors_of
from steel_training.data.matching.symmetries import turned


def keys(image: np.ndarray, *, blocks: bool) -> set[tuple[int, int]]:
    found = anchors_of(image)
    return {(int(each["kind"]), int(each["key"])) for each in found if (each["kind"] == BLOCK) == blocks}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), turn=st.integers(0, 7), spread=st.floats(1.0, 40.0))
def test_turning_a_patch_changes_no_key(seed: int, turn: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    image = np.clip(np.rint(random.normal(120, spread, (64, 64))), 0, 255).astype(np.uint8)
    assert keys(image, blocks=True) == keys(turned(image, turn), blocks=True)
    kept = keys(image, blocks=False) & keys(turned(image, turn), blocks=False)
    assert len(kept) >= 0.8 * len(keys(image, blocks=False))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), y=st.integers(0, 40), x=st.integers(0, 40))
def test_overlapping_cuts_share_the_blocks_of_what_is_common(seed: int, y: int, x: int) -> None:
    wide = np.random.default_rng(seed).integers(0, 256, (110, 110), dtype=np.uint8)
    one, other = anchors_of(wide[:64, :64]), anchors_of(wide[y : y + 64, x : x + 64])
    places = [
        {(a["y"] + 2 * dy, a["x"] + 2 * dx) for a in found if a["kind"] == BLOCK}
        for found, dy, dx in ((one, 0, 0), (other, y, x))
    ]
    inside = {(py, px) for py, px in places[0] if py >= 2 * y + 7 and px >= 2 * x + 7}
    assert inside <= places[1]


@pytest.mark.parametrize("image", [np.full((64, 64), 7, np.uint8), np.zeros((1, 1), np.uint8)], ids=["flat", "pixel"])
def test_what_shows_nothing_has_no_anchors(image: np.ndarray) -> None:
    assert len(anchors_of(image)) == 0


def test_an_edge_between_flat_fields_is_no_anchor() -> None:
    image = np.zeros((64, 64), np.uint8)
    image[:, 30:] = 200
    assert not keys(image, blocks=True)


def test_there_are_few_however_large_the_patch() -> None:
    random = np.random.default_rng(2)
    for side in (32, 64, 256, 512):
        assert len(anchors_of(random.integers(0, 256, (side, side), dtype=np.uint8))) < 500
