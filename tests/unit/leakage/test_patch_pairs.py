"""Registered patches are framed where both show the same steel, in every orientation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from steel_training.data.matching.symmetries import NAMES, oriented
from steel_training.leakage.patch_pairs import Pair, Side, named_pairs, straddling_pairs

SIDE = Side(0, "p0", "train", "clean", "g0")


def cut(image: np.ndarray, frame: tuple[float, ...]) -> np.ndarray:
    height, width = image.shape
    top, left, bottom, right = (round(share * size) for share, size in zip(frame, (height, width) * 2, strict=True))
    return image[top:bottom, left:right]


@given(st.integers(0, 7), st.integers(-12, 12), st.integers(-12, 12))
def test_frames_hold_the_same_pixels_once_oriented(orientation: int, y: int, x: int) -> None:
    steel = np.random.default_rng(1).integers(0, 255, (60, 60))
    aligned, second = steel[20 + y : 36 + y, 20 + x : 40 + x], steel[20:38, 20:36]
    first = next(
        image for back in range(8) if np.array_equal(oriented(image := oriented(aligned, back), orientation), aligned)
    )
    frames = Pair(SIDE, SIDE, "", "part", orientation, (y, x)).frames(first.shape, second.shape)
    shared = max(0, min(y + 16, 18) - max(y, 0)) * max(0, min(x + 20, 16) - max(x, 0)) / 288
    assert (frames is not None) == (0 < shared < 0.85)
    if frames is not None:
        assert np.array_equal(oriented(cut(first, frames[0]), orientation), cut(second, frames[1]))


def test_no_frame_without_registration() -> None:
    assert Pair(SIDE, SIDE, "").frames((64, 64), (64, 64)) is None


def test_ambiguous_patch_ids_are_left_out() -> None:
    profile = pd.DataFrame(
        {
            "patch_id": ["a", "b", "b", "c"],
            "part": ["train", "val", "test", "test"],
            "label": [0, 1, 0, None],
            "group": list("wxyz"),
        }
    )
    pairs = [
        {"first": "a", "second": "b"},
        {"first": "a", "second": "c", "turn": NAMES[5], "shift": [0, 3], "common": 0.5, "correlation": 0.97},
    ]
    (found,) = named_pairs(pairs, profile, "leak.rotation")
    assert (found.first.patch_id, found.second.patch_id, found.second.label) == ("a", "c", "?")
    assert (found.orientation, found.shift) == (5, (0, 3))
    assert found.how == "the same steel, rotated by 90°: overlap 50%, correlation 0.97"


def test_straddling_group_shows_the_train_patch_first() -> None:
    profile = pd.DataFrame(
        {
            "patch_id": list("abcd"),
            "part": ["test", "train", "val", "val"],
            "label": 0,
            "group": ["g", "g", "h", "k"],
            "source_id": ["s", "s", "t", "t"],
        }
    )
    (found,) = straddling_pairs(["g", "h", "nobody"], profile)
    assert ([found.first.part, found.second.part], found.how) == (["train", "test"], "both of group g")
