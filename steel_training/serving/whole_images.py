"""Whole images for a model of patches: cut as `ingest` cuts them, and what was found where."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

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


def places(data: bytes, patch: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Return the left and top edges of an image's patches, side by side, the last ones flush with the edge; none for an image of one patch.

    Args:
        data: image file.
        patch: (width, height); `None` takes any image as one patch.

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
    columns, rows = (
        CutRule(patch=side, stride=side).starts(length) for side, length in zip(patch, (width, height), strict=True)
    )
    return [(x, y) for y in rows for x in columns]


def cut(data: bytes, corners: Sequence[tuple[int, int]], patch: tuple[int, int]) -> list[bytes]:
    """Return patches of an image as PNG files."""
    pixels = np.asarray(open_image(data).convert("RGB"))
    return [as_png(pixels[y : y + patch[1], x : x + patch[0]]) for x, y in corners]


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
