"""What lies around a patch comes from patches of the same source image, and covers what they can."""

from __future__ import annotations

import pandas as pd
import pytest

from steel_training.labels.review.sheet import Placed
from steel_training.labels.review.surroundings import Surroundings


def grid(across: int, along: int, stride: int, source: str = "a") -> list[dict]:
    return [
        {"path": f"{source}/{x}-{y}.png", "source_id": source, "x": x * stride, "y": y * stride}
        for y in range(along)
        for x in range(across)
    ]


def test_eight_patches_lie_around_one_of_a_grid() -> None:
    manifest = pd.DataFrame(grid(5, 5, 64) + grid(5, 5, 64, "b"))
    found = Surroundings(manifest, 64, 64).of(12)  # x=2, y=2
    assert {(each.right, each.down) for each in found} == {
        (x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0) if (x, y) != (0, 0)
    }
    assert all(each.path.startswith("a/") for each in found)
    assert Placed("a/3-2.png", 1.0, 0.0) in found


def test_overlapping_patches_cover_the_same_with_few() -> None:
    manifest = pd.DataFrame(grid(13, 13, 16))
    found = Surroundings(manifest, 64, 64).of(6 * 13 + 6)
    assert len(found) == 8


def test_patches_that_do_not_fit_the_grid_still_cover() -> None:
    found = Surroundings(pd.DataFrame(grid(9, 9, 48)), 64, 64).of(4 * 9 + 4)
    assert 8 <= len(found) <= 24


def test_corners_have_fewer_and_single_patches_none() -> None:
    around = Surroundings(pd.DataFrame(grid(3, 3, 64) + grid(1, 1, 64, "b")), 64, 64)
    assert len(around.of(0)) == 3
    assert around.of(9) == ()


@pytest.mark.parametrize("columns", [["path", "source_id"], ["path", "source_id", "x"]])
def test_without_places_there_are_none(columns: list[str]) -> None:
    assert Surroundings(pd.DataFrame(grid(3, 3, 64))[columns], 64, 64).of(4) == ()


def test_rows_without_place_or_source_are_left_out() -> None:
    manifest = pd.DataFrame(grid(3, 1, 64))
    manifest["x"] = ["0", "no", "128"]
    around = Surroundings(manifest, 64, 64)
    assert around.of(1) == ()
    assert around.of(0) == ()
    manifest = pd.DataFrame(grid(3, 1, 64)).assign(source_id=["a", None, "a"])
    assert [each.path for each in Surroundings(manifest, 64, 64).of(0)] == []
