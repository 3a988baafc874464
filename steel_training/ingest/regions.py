"""Annotated regions of an image, as pixels: boxes, polygons, ellipses and run lengths."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw

Item = TypeVar("Item")

# Tools write 200.0001 or -0.4 for the edge of an image; farther outside is another image, or another scale.
_ROUNDING = 1.0
# Drawn at twice the size and read at pixel centres: Pillow alone adds half a pixel on every side.
_FINER = 2


class RegionInvalid(ValueError):
    """A region is not inside its image, or is none; the message has no address."""


@dataclass(frozen=True)
class Region:
    """Pixels of one class.

    Attributes:
        name: of the class.
        left: first column, pixels.
        top: first row.
        pixels: bool, (height, width) of its bounding box; at least one is set.
    """

    name: str
    left: int
    top: int
    pixels: np.ndarray

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.pixels.sum())


def box(name: str, edges: Sequence[float], shape: tuple[int, ...]) -> Region:
    """Return a box.

    Args:
        name: of the class.
        edges: left, top, right, bottom in continuous coordinates, 0 being the outer edge of the first pixel.
        shape: (height, width) of the image.

    Raises:
        RegionInvalid: it lies outside the image by more than a pixel, or has no area.
    """
    left, top, right, bottom = edges
    _check_inside([(left, top), (right, bottom)], shape)
    if not (right > left and bottom > top):
        raise RegionInvalid(f"left={left:g}, top={top:g}, right={right:g}, bottom={bottom:g} have no area")
    columns, rows = _span(left, right, shape[1]), _span(top, bottom, shape[0])
    return Region(name, columns[0], rows[0], np.ones((rows[1] - rows[0], columns[1] - columns[0]), bool))


def polygon(name: str, points: Sequence[tuple[float, float]], shape: tuple[int, ...]) -> Region:
    """Return the pixels whose centre is inside a polygon; of a very thin one those that its line crosses.

    Args:
        name: of the class.
        points: (x, y) in continuous coordinates.
        shape: (height, width) of the image.

    Raises:
        RegionInvalid: fewer than three points, or one outside the image by more than a pixel.
    """
    if len(set(points)) < 3:
        raise RegionInvalid(f"it has {len(set(points))} different points; a polygon has at least 3")
    return _drawn(name, points, shape, lambda draw, scaled: draw.polygon(scaled, fill=1))


def ellipse(name: str, centre: tuple[float, float], radii: tuple[float, float], shape: tuple[int, ...]) -> Region:
    """Return an upright ellipse, cut off at the edges of the image.

    Raises:
        RegionInvalid: the centre is outside the image, or a radius is not above 0.
    """
    (x, y), (across, down) = centre, radii
    if not (across > 0 and down > 0 and math.isfinite(across) and math.isfinite(down)):
        raise RegionInvalid(f"its radii are {across:g} and {down:g}; expected numbers above 0")
    _check_inside([centre], shape)
    # More corners than pixels along the outline: no eye and no pixel tells it from a curve.
    corners = max(12, min(720, int(4 * max(across, down))))
    angles = [2 * math.pi * corner / corners for corner in range(corners)]
    outline = [
        (
            min(max(x + across * math.cos(angle), 0.0), float(shape[1])),
            min(max(y + down * math.sin(angle), 0.0), float(shape[0])),
        )
        for angle in angles
    ]
    return polygon(name, outline, shape)


def bitmap(name: str, pixels: np.ndarray, corner: tuple[int, int], shape: tuple[int, ...]) -> Region:
    """Return a region given by its pixels, bool (height, width), with its upper left corner at (x, y).

    Raises:
        RegionInvalid: no pixel is set, or the bitmap does not fit into the image.
    """
    (left, top), (height, width) = corner, pixels.shape
    if not (min(left, top) >= 0 and left + width <= shape[1] and top + height <= shape[0]):
        raise RegionInvalid(
            f"{width}×{height} pixels at ({left}, {top}) are not inside the image of {shape[1]}×{shape[0]} pixels"
        )
    if not pixels.any():
        raise RegionInvalid("it marks no pixel")
    return Region(name, left, top, pixels)


def joined(parts: Sequence[Region]) -> Region:
    """Return the union of regions of one class."""
    if len(parts) == 1:
        return parts[0]
    left, top = min(part.left for part in parts), min(part.top for part in parts)
    right = max(part.left + part.pixels.shape[1] for part in parts)
    bottom = max(part.top + part.pixels.shape[0] for part in parts)
    pixels = np.zeros((bottom - top, right - left), bool)
    for part in parts:
        height, width = part.pixels.shape
        pixels[part.top - top : part.top - top + height, part.left - left : part.left - left + width] |= part.pixels
    return Region(parts[0].name, left, top, pixels)


def pairs(numbers: Sequence[float]) -> list[tuple[float, float]]:
    """Return x, y, x, y, … as points.

    Raises:
        RegionInvalid: an odd number of them.
    """
    if len(numbers) % 2:
        raise RegionInvalid(f"its polygon has {len(numbers)} numbers; expected pairs of x and y")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def without_area(name: str, kind: str, expected: str) -> RegionInvalid:
    """Return the error of a shape that covers no pixels, such as a point or a line.

    Args:
        name: of its class.
        kind: of shape.
        expected: shapes with an area that the format has.
    """
    return RegionInvalid(f"'{name}' is a {kind}, which has no area; expected {expected}. Draw its area, or remove it")


def rotated(name: str, kind: str) -> RegionInvalid:
    """Return the error of a rotated box or ellipse, whose rotation each tool counts differently."""
    return RegionInvalid(f"'{name}' is a rotated {kind}. Draw it as a polygon")


def of_whole_image(name: str, kind: str = "tag") -> RegionInvalid:
    """Return the error of a tag, which says nothing about where in its image the defect is."""
    return RegionInvalid(
        f"'{name}' is a tag of the whole image{'' if kind == 'tag' else f' ({kind})'}, which does not say where the defect is. Draw its area; or remove it, and if every "
        "image is one patch, sort the images into a folder per class ('ingest folders')"
    )


def read_each(
    items: Iterable[Item], read: Callable[[Item], Region | None], noun: str
) -> tuple[list[Region], list[str]]:
    """Read the regions of an image, and go on where one is invalid.

    Args:
        items: as the file has them.
        read: returns a region, or `None` for what is to be left out; raises `RegionInvalid`.
        noun: what an item is, for messages.

    Returns:
        The regions, and a text for every invalid item, such as 'shape 3: it has 2 different points'.
    """
    regions, invalid = [], []
    for number, item in enumerate(items, start=1):
        try:
            region = read(item)
        except RegionInvalid as error:
            invalid.append(f"{noun} {number}: {error}")
        else:
            if region is not None:
                regions.append(region)
    return regions, invalid


def _drawn(
    name: str,
    points: Sequence[tuple[float, float]],
    shape: tuple[int, ...],
    draw: Callable[[ImageDraw.ImageDraw, list[tuple[float, float]]], None],
) -> Region:
    _check_inside(points, shape)
    (left, right), (top, bottom) = (
        _span(min(point[axis] for point in points), max(point[axis] for point in points), shape[1 - axis])
        for axis in (0, 1)
    )
    for finer in (_FINER, 1):
        canvas = Image.new("L", ((right - left) * finer, (bottom - top) * finer))
        draw(ImageDraw.Draw(canvas), [((x - left) * finer, (y - top) * finer) for x, y in points])
        pixels = np.asarray(canvas)[finer // 2 :: finer, finer // 2 :: finer] > 0
        if pixels.any():
            return Region(name, left, top, pixels)
    return Region(name, left, top, np.ones((bottom - top, right - left), bool))


def _check_inside(points: Iterable[tuple[float, float]], shape: tuple[int, ...]) -> None:
    height, width = shape[:2]
    for x, y in points:
        if not (-_ROUNDING <= x <= width + _ROUNDING and -_ROUNDING <= y <= height + _ROUNDING):
            raise RegionInvalid(f"({x:g}, {y:g}) is outside the image of {width}×{height} pixels")


def _span(low: float, high: float, side: int) -> tuple[int, int]:
    """Return the half-open range of pixels whose centre is between two coordinates; at least one pixel."""
    first = min(max(math.ceil(low - 0.5), 0), side - 1)
    return first, max(min(math.ceil(high - 0.5), side), first + 1)
