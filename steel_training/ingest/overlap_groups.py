"""Which source images show the same steel, found from their pixels: the table that `--groups` takes.

A set of images may hold overlapping crops, rotated copies or second shots of one place under different names. Split by
image, such a set leaks. Each image is compared whole and in windows the size of a patch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pandas as pd
from PIL import Image

from steel_training.data.grey_range import GreyRange
from steel_training.data.images import MAX_SIDE
from steel_training.data.matching.keypoints import keypoints_of
from steel_training.data.matching.same_surface import same_surface_groups
from steel_training.data.measurements import grey_of
from steel_training.ingest.source_images import GreyRangeMissing, ImageFiles, SourceImageUnreadable, image_files
from steel_training.ingest.tiling import Progress


def group_overlapping_images(
    images: str, *, piece: int = 64, grey_range: GreyRange | None = None, progress: Progress | None = None
) -> pd.DataFrame:
    """Find images that show the same steel, directly or through others.

    Args:
        images: folder or S3 prefix of images.
        piece: side of the windows that are compared, pixels.
        grey_range: how grey values of more than 8 bits become 8 bits.
        progress: called with the images read so far and their total.

    Returns:
        Columns `source_id` and `group_id`, one row per image; a group is named after its first image.

    Raises:
        NoSourceImages: there is none.
        SourceImageUnreadable: one cannot be decoded, or has more than 8 bits and `grey_range` is not given.
    """
    files = image_files(images)
    names = list(files)
    places: list[tuple[int, int, int]] = []
    keypoints: list[bytes] = []

    @lru_cache(maxsize=64)
    def read(number: int) -> np.ndarray:
        return _grey(files, names[number], grey_range)

    for number in range(len(names)):
        grey = read(number)
        for y, x in _places(grey.shape, piece):
            places.append((number, y, x))
            keypoints.append(keypoints_of(_piece(grey, y, x, piece)).tobytes())
        if progress:
            progress(number + 1, len(names))

    def pixels(row: int) -> np.ndarray:
        number, y, x = places[row]
        return _piece(read(number), y, x, piece)

    groups = same_surface_groups(keypoints, np.array([number for number, _, _ in places], int), pixels)
    return pd.DataFrame({"source_id": names, "group_id": [names[group] for group in groups]})


def _grey(files: ImageFiles, name: str, grey_range: GreyRange | None) -> np.ndarray:
    """Return an image's grey values, uint8 (height, width); also of modes that become no patches."""
    try:
        return grey_of(Image.fromarray(files.source_image(name, grey_range).pixels))
    except GreyRangeMissing:
        raise
    except SourceImageUnreadable:
        return grey_of(files.image(name))


def _places(shape: tuple[int, ...], piece: int) -> Iterator[tuple[int, int]]:
    """Yield the corners of the windows, the last ones flush with the edge; first (−1, −1) for the whole image."""
    if max(shape) <= MAX_SIDE:
        yield -1, -1
    starts = [sorted({*range(0, max(side - piece, 0) + 1, piece), max(side - piece, 0)}) for side in shape]
    for y in starts[0]:
        for x in starts[1]:
            yield y, x


def _piece(grey: np.ndarray, y: int, x: int, piece: int) -> np.ndarray:
    return grey if y < 0 else grey[y : y + piece, x : x + piece]
