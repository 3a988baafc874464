"""Whole images for a model of patches: cut as `ingest` cuts them, and what was found where."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from steel_training.data.image_cut import ImageCut
from steel_training.data.images import ImageUnreadable, as_png, open_image
from steel_training.ingest.cut_rule import CutRule

_BOX = (255, 64, 64)


@dataclass(frozen=True)
class ScoredPatch:
    """A patch of an image: its left and top edge, width and height in pixels, and its score."""

    x: int
    y: int
    width: int
    height: int
    score: float


def places(data: bytes, patch: tuple[int, int] | None, as_cut: ImageCut | None = None) -> list[tuple[int, int]]:
    """Return the left and top edges of an image's patches; none for an image of one patch.

    Args:
        data: image file.
        patch: (width, height); `None` takes any image as one patch.
        as_cut: how the dataset was cut; without it patches are side by side, the last ones flush with the edge.

    Raises:
        ImageUnreadable: the image is smaller than a patch.
    """
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
    if patch is None or (width, height) == patch:
        return []
    if width < patch[0] or height < patch[1]:
        raise ImageUnreadable(
            f"{width}×{height} pixels; the model was trained on patches of {patch[0]}×{patch[1]}, and scores images of that size or larger"
        )
    cover = as_cut is None or as_cut.cover_edges
    columns, rows = (
        CutRule(patch=side, stride=as_cut.stride if as_cut else side, cover_edges=cover).starts(length)
        for side, length in zip(patch, (width, height), strict=True)
    )
    return [(x, y) for y in rows for x in columns]


def as_stored(data: bytes, as_cut: ImageCut | None) -> bytes:
    """Return an image file with the colours of the dataset: grey, where its patches of colour images were stored as grey."""
    if as_cut is None or not as_cut.grey or (image := open_image(data)).mode == "L":
        return data
    return as_png(np.asarray(image.convert("L")))


def with_steel(
    data: bytes, corners: Sequence[tuple[int, int]], patch: tuple[int, int], as_cut: ImageCut | None
) -> list[tuple[int, int]]:
    """Return the places whose patches ingest would not have left out as blank; all places where every patch is blank.

    A model never saw a blank patch, and its score of one means nothing.
    """
    if as_cut is None or not as_cut.min_contrast:
        return list(corners)
    pieces = zip(corners, _pieces(data, corners, patch), strict=True)
    found = [corner for corner, piece in pieces if piece.std() >= as_cut.min_contrast]
    return found or list(corners)


def cut(data: bytes, corners: Iterable[tuple[int, int]], patch: tuple[int, int]) -> Iterator[bytes]:
    """Yield patches of an image as PNG files."""
    return map(as_png, _pieces(data, corners, patch))


def _pieces(data: bytes, corners: Iterable[tuple[int, int]], patch: tuple[int, int]) -> Iterator[np.ndarray]:
    pixels = np.asarray(open_image(data))
    for x, y in corners:
        yield pixels[y : y + patch[1], x : x + patch[0]]


def overlay(data: bytes, patches: Sequence[ScoredPatch]) -> bytes:
    """Return an image as PNG, with a box and the score of each patch."""
    image = open_image(data).convert("RGB")
    draw = ImageDraw.Draw(image)
    for patch in patches:
        draw.rectangle((patch.x, patch.y, patch.x + patch.width - 1, patch.y + patch.height - 1), outline=_BOX, width=2)
        size = max(12, patch.height // 6)
        draw.text(
            (patch.x + 4, patch.y + 3),
            f"{patch.score:.2f}",
            "white",
            font_size=size,
            stroke_width=2,
            stroke_fill="black",
        )
    return as_png(np.asarray(image))
