"""What an image file costs to decode, known from its header and markers before anything is decoded.

The size of an image does not bound the time: a progressive JPEG may repeat scans of a few bytes that each pass over every pixel (80 kB of
them took a minute), and Pillow decodes a run-length coded BMP in Python. The other formats pass over the pixels once, or twice for an
interlaced PNG; of several frames or pages only the first is decoded; and libtiff ends a JPEG inside a TIFF file at 100 scans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from PIL import Image

from steel_training.errors import SteelTrainingError

MAX_SCANS = 32
"""At the largest size that is read; smaller images may have more. libjpeg, cameras and web tools write 3 to 18."""

_JPEG = b"\xff\xd8"
_START_OF_SCAN, _END_OF_IMAGE, _FIRST_WITH_LENGTH = 0xDA, 0xD9, 0xC0
# A marker: not a stuffed 0xFF, a restart within a scan, or a fill byte. What begins below 0xC0 has no length.
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
_RUN_LENGTH_BMP = (1, 2)


class DecodingTooCostly(SteelTrainingError):
    """An image file takes more work to decode than its size justifies."""


def scans(data: bytes) -> int:
    """Return how many scans a JPEG file has, up to the end of its image, as libjpeg finds them; 1 for any other file."""
    if not data.startswith(_JPEG):
        return 1
    return max(sum(marker == _START_OF_SCAN for marker in _markers(data)), 1)


def pixel_scans(image: Image.Image, data: bytes) -> int:
    """Return pixels × scans of an opened, not yet decoded image.

    Args:
        image: as opened from `data`.
        data: the file.
    """
    return image.width * image.height * scans(data)


def refuse_costly(image: Image.Image, data: bytes, limit: int) -> None:
    """Refuse an opened image before it is decoded.

    Args:
        image: as opened from `data`, not yet decoded.
        data: the file.
        limit: on pixels × scans.

    Raises:
        DecodingTooCostly: it has several scans, and pixels × scans are above the limit; or it is a run-length coded BMP.
    """
    pixels, passes = image.width * image.height, scans(data)
    if passes > 1 and pixels * passes > limit:
        raise DecodingTooCostly(
            f"{image.width}×{image.height} pixels in {passes:,} scans; at most {max(limit // pixels, 1):,} scans of "
            f"that size are decoded (pixels × scans up to {limit:,}). Save it again as a JPEG that is not progressive"
        )
    if image.format == "BMP" and image.info.get("compression") in _RUN_LENGTH_BMP:
        raise DecodingTooCostly("a BMP with run-length coding, which is slow to decode; save it again as PNG")


def _markers(data: bytes) -> Iterator[int]:
    place = len(_JPEG)
    while (found := _MARKER.search(data, place)) is not None:
        marker, place = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            return
        yield marker
        if marker >= _FIRST_WITH_LENGTH:
            place += max(int.from_bytes(data[place : place + 2], "big"), 2)
