"""Finds and decodes source images: the image files below a folder or S3 prefix."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from steel_training.data.decoding_cost import MAX_SCANS, DecodingTooCostly, refuse_costly
from steel_training.data.grey_range import (
    DepthUnsupported,
    GreyRange,
    bits_per_channel,
    deep_values,
    refuse_deep_colour,
)
from steel_training.data.images import GREY_AND_RGB, upright
from steel_training.errors import UsageError
from steel_training.storage import Storage, open_storage

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
# A line-scan image may be long; a longer side is a mistake or an attack on memory.
MAX_SIDE = 32_768
# Sized for a line-scan image of 32,768 × 4,096 pixels.
MAX_PIXEL_SCANS = MAX_SCANS * 2**27


_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class NoSourceImages(UsageError):
    """A folder holds no image file."""


class SourceImageUnreadable(UsageError):
    """An image file cannot be decoded, or is neither grey of 8, 12 or 16 bits nor 8-bit RGB."""


class GreyRangeMissing(SourceImageUnreadable):
    """An image has more than 8 bits, and nobody said how its grey values become 8 bits."""


class AmbiguousSourceImage(UsageError):
    """Two image files would get the same name in the dataset."""


@dataclass(frozen=True)
class GreyLevels:
    """Of an image of more than 8 bits: bits per pixel in the file, and its values before they were mapped.

    Attributes:
        bits: per pixel.
        lowest: value.
        highest: value.
        below: pixels below the grey range, which became 0.
        above: pixels above it, which became 255.
        pixels: in all.
    """

    bits: int
    lowest: int
    highest: int
    below: int
    above: int
    pixels: int


@dataclass(frozen=True)
class SourceImage:
    """A source image with its EXIF orientation applied.

    Attributes:
        pixels: uint8, (height, width) for grey or (height, width, 3) for RGB.
        rotated: whether the stored pixels had another orientation.
        levels: of an image of more than 8 bits, which was mapped to 8; `None` for one that had 8.
    """

    pixels: np.ndarray
    rotated: bool = False
    levels: GreyLevels | None = None


@dataclass(frozen=True)
class ImageFiles:
    """The image files of a folder, by name without suffix (`coil7/0001` for `coil7/0001.jpg`), sorted."""

    storage: Storage
    keys: dict[str, str]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def only(self, names: Iterable[str]) -> ImageFiles:
        """Return some of the files."""
        return ImageFiles(self.storage, {name: self.keys[name] for name in names})

    def address(self, name: str) -> str:
        """Return the full address of a file, for messages."""
        return self.storage.location(self.keys[name])

    def suffix(self, name: str) -> str:
        """Return the file's suffix in lower case, with the dot."""
        return PurePosixPath(self.keys[name]).suffix.lower()

    def source_image(self, name: str, grey_range: GreyRange | None = None) -> SourceImage:
        """Read a source image and apply its EXIF orientation.

        Args:
            name: of the file.
            grey_range: how grey values of more than 8 bits become 8 bits.

        Raises:
            GreyRangeMissing: it has more than 8 bits, and no range is given.
            SourceImageUnreadable: truncated, not an image, too large or costly to decode, or in another mode.
        """
        stored, data = self._stored(name)
        image = upright(stored)
        try:
            values = deep_values(stored, image)
        except DepthUnsupported as error:
            raise SourceImageUnreadable(f"{self.address(name)} is {error}.") from None
        if values is not None:
            bits, lowest, highest = bits_per_channel(stored, data), int(values.min()), int(values.max())
            if grey_range is None:
                raise GreyRangeMissing(
                    f"{self.address(name)} has {bits} bits per pixel, with values from {lowest:,} to {highest:,}; expected 8 bits. Say which "
                    f"values become 0 and 255, the same in every image: {GreyRange.of_sensor(highest).advice}."
                )
            below, above = int((values < grey_range.low).sum()), int((values > grey_range.high).sum())
            levels = GreyLevels(bits, lowest, highest, below, above, values.size)
            return SourceImage(grey_range.to_8_bits(values), rotated=image is not stored, levels=levels)
        if image.mode not in GREY_AND_RGB:
            raise SourceImageUnreadable(
                f"{self.address(name)} has mode {image.mode}; expected grey of 8, 12 or 16 bits, or 8-bit RGB. Convert it first."
            )
        return SourceImage(np.asarray(image), rotated=image is not stored)

    def image(self, name: str) -> Image.Image:
        """Decode a file of any mode and apply its EXIF orientation.

        Raises:
            SourceImageUnreadable: truncated, not an image, too large, too costly to decode, or of 16 bits per colour.
        """
        return upright(self._stored(name)[0])

    def _stored(self, name: str) -> tuple[Image.Image, bytes]:
        address = self.address(name)
        try:
            data = self.storage.read(self.keys[name])
            image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "BMP", "TIFF"))
            if max(image.size) > MAX_SIDE:
                raise SourceImageUnreadable(
                    f"{address} is {image.width}×{image.height} pixels; the longest side may have {MAX_SIDE}."
                )
            refuse_costly(image, data, MAX_PIXEL_SCANS)
            refuse_deep_colour(image, data)
            image.load()
        except UnidentifiedImageError:
            what = (
                "is a TIFF file whose kind of pixels or compression is not read; save it as PNG, or as TIFF with 8 or 16 bits of grey"
                if data[:4] in _TIFF
                else "is not a PNG, JPEG, BMP or TIFF image; remove or replace it"
            )
            raise SourceImageUnreadable(f"{address} {what}.") from None
        except DepthUnsupported as error:
            raise SourceImageUnreadable(f"{address} has {error}.") from None
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, DecodingTooCostly) as error:
            raise SourceImageUnreadable(
                f"{address} cannot be decoded ({error or type(error).__name__}); remove or replace it."
            ) from None
        return image, data


def image_files(uri: str, *, what: str = "source image") -> ImageFiles:
    """Find the image files below a folder or S3 prefix, including subfolders.

    Args:
        uri: folder or `s3://bucket/prefix`.
        what: name of such a file in messages.

    Raises:
        NoSourceImages: there are none.
        AmbiguousSourceImage: two files would become the same source, such as `a.jpg` and `a.png`.
    """
    storage = open_storage(uri)
    keys: dict[str, str] = {}
    named: dict[str, str] = {}
    for key in sorted(entry.key for entry in storage.entries()):
        path = PurePosixPath(key)
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue  # a Mac leaves '._a.png' beside 'a.png'
        name = str(path.with_suffix(""))
        flat = flat_name(name)
        if flat in named:
            raise AmbiguousSourceImage(
                f"{storage.location(named[flat])} and {storage.location(key)} would both become the {what} '{flat}'. "
                "Rename or remove one of them."
            )
        named[flat] = key
        keys[name] = key
    if not keys:
        raise NoSourceImages(
            f"{uri} holds no {what} or does not exist; expected a folder of PNG, JPEG, BMP or TIFF files."
        )
    return ImageFiles(storage, keys)


def composed(name: str) -> str:
    """Return a name in the Unicode form for comparison: a Mac writes 'ü' as two characters, most tables as one."""
    return unicodedata.normalize("NFC", name)


def flat_name(name: str) -> str:
    """Return the name of an image in subfolders as a single file name: `coil7/0001` becomes `coil7__0001`."""
    return name.replace("/", "__")
