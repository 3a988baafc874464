from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.ingest import regions
from steel_training.ingest.regions import RegionInvalid

SHAPE = (30, 40)


def painted(region: regions.Region) -> np.ndarray:
    canvas = np.zeros(SHAPE, bool)
    height, width = region.pixels.shape
    canvas[region.top : region.top + height, region.left : region.left + width] = region.pixels
    return canvas


@given(left=st.integers(0, 39), top=st.integers(0, 29), across=st.integers(1, 40), down=st.integers(1, 30))
def test_a_rectangle_is_the_same_as_box_and_as_polygon(left, top, across, down) -> None:
    right, bottom = min(left + across, 40), min(top + down, 30)
    expected = np.zeros(SHAPE, bool)
    expected[top:bottom, left:right] = True
    box = regions.box("pit", (left, top, right, bottom), SHAPE)
    polygon = regions.polygon("pit", [(left, top), (right, top), (right, bottom), (left, bottom)], SHAPE)
    assert (painted(box) == expected).all()
    assert (painted(polygon) == expected).all()


@given(st.lists(st.tuples(st.floats(-3, 43), st.floats(-3, 33)), max_size=6))
def test_any_polygon_is_inside_and_not_empty_or_is_refused(points) -> None:
    try:
        region = regions.polygon("pit", points, SHAPE)
    except RegionInvalid:
        assert len(set(points)) < 3 or not all(-1 <= x <= 41 and -1 <= y <= 31 for x, y in points)
    else:
        assert region.area >= 1
        assert painted(region).sum() == region.area


def test_a_triangle_has_half_the_area_of_its_square() -> None:
    assert regions.polygon("pit", [(0, 0), (20, 0), (0, 20)], SHAPE).area == pytest.approx(200, abs=20)


def test_a_hair_that_holds_no_pixel_centre_is_not_lost() -> None:
    assert regions.polygon("pit", [(2.1, 2.1), (30, 2.2), (30, 2.3)], SHAPE).area >= 20


def test_an_ellipse_is_cut_off_at_the_edge() -> None:
    inside = regions.ellipse("pit", (20, 15), (10, 5), SHAPE)
    assert inside.area == pytest.approx(math.pi * 50, rel=0.06)
    assert painted(inside)[:, :20].sum() == pytest.approx(painted(inside)[:, 20:].sum(), abs=4)
    assert regions.ellipse("pit", (0, 15), (10, 5), SHAPE).area == pytest.approx(math.pi * 25, rel=0.08)


@pytest.mark.parametrize("radii", [(0, 5), (5, -1), (math.inf, 2), (math.nan, 2)])
def test_an_ellipse_without_area_is_refused(radii) -> None:
    with pytest.raises(RegionInvalid, match="radii"):
        regions.ellipse("pit", (20, 15), radii, SHAPE)


def test_rounding_outside_the_image_is_cut_off() -> None:
    assert painted(regions.box("pit", (-0.4, -0.4, 40.6, 30.2), SHAPE)).all()
    with pytest.raises(RegionInvalid, match=r"\(42, 30\) is outside the image of 40×30"):
        regions.box("pit", (0, 0, 42, 30), SHAPE)


def test_parts_are_joined() -> None:
    one, other = regions.box("pit", (0, 0, 3, 3), SHAPE), regions.box("pit", (2, 2, 6, 5), SHAPE)
    joined = regions.joined([one, other])
    assert (painted(joined) == painted(one) | painted(other)).all()
