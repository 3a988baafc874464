"""Decoding of patches: the one image decoder, and a reader that decodes in parallel and keeps the order."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from steel_training.data.decoding_cost import MAX_SCANS, DecodingTooCostly, pixel_scans, refuse_costly
from steel_training.data.grey_range import (
    DepthUnsupported,
    GreyRange,
    bits_per_channel,
    deep_values,
    refuse_deep_colour,
)
from steel_training.errors import SteelTrainingError
from steel_training.storage import Storage

# Patches are small by contract; a larger header is a mistake or a decompression bomb.
MAX_SIDE = 2048
MAX_PIXEL_SCANS = MAX_SCANS * MAX_SIDE**2
GREY_AND_RGB = frozenset({"L", "RGB"})
_THREADS = 8
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF orientation."""


class ImageUnreadable(SteelTrainingError):
    """A file is not an image that the input contract allows."""


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation of a decoded image, as every viewer does; format and JPEG tables stay with it.

    Pillow has rotated TIFF files already, and removed their orientation. Returns the same object if there is nothing to rotate.
    """
    try:
        method = _TRANSPOSES.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        # Pillow raises various errors on damaged EXIF data, which viewers ignore.
        method = None
    if method is None:
        return image
    rotated = image.transpose(method)
    rotated.format = image.format
    rotated.info.pop("exif", None)
    if (tables := getattr(image, "quantization", None)) is not None:
        rotated.quantization = tables  # type: ignore[attr-defined]
    return rotated


def open_image(data: bytes) -> Image.Image:
    """Decode a PNG, JPEG, BMP or TIFF file completely, and apply its EXIF orientation.

    Raises:
        ImageUnreadable: truncated, not an image, of another format, larger than `MAX_SIDE` pixels per side, of 16 bits per colour,
            or too costly to decode (`decoding_cost.refuse_costly`).
    """
    return upright(_stored_image(data))


def decoding_cost(data: bytes) -> int:
    """Return pixels × scans of an image file from its header and markers; nothing is decoded.

    Raises:
        ImageUnreadable: not an image, of another format, larger than `MAX_SIDE` pixels per side, or too costly to decode.
    """
    with _explained(data), _opened(data) as image:
        return pixel_scans(image, data)


def _stored_image(data: bytes) -> Image.Image:
    with _explained(data):
        image = _opened(data)
        image.load()
    return image


def _opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "BMP", "TIFF"))
    if max(image.size) > MAX_SIDE:
        raise ImageUnreadable(f"{image.width}×{image.height} pixels; at most {MAX_SIDE} per side are read")
    refuse_costly(image, data, MAX_PIXEL_SCANS)
    refuse_deep_colour(image, data)
    return image


@contextmanager
def _explained(data: bytes) -> Iterator[None]:
    try:
        yield
    except UnidentifiedImageError:
        raise ImageUnreadable(f"not a PNG, JPEG, BMP or TIFF image ({len(data):,} bytes)") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        Image.DecompressionBombError,
        DecodingTooCostly,
        DepthUnsupported,
    ) as error:
        raise ImageUnreadable(str(error) or type(error).__name__) from None


def decode(data: bytes) -> np.ndarray:
    """Decode an image file to uint8 RGB (height, width, 3); grey is repeated over the channels.

    Raises:
        ImageUnreadable: see `open_image`; also if the mode is neither 8-bit grey nor RGB.
    """
    return _rgb(open_image(data))


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode not in GREY_AND_RGB:
        raise ImageUnreadable(f"mode {image.mode}; expected 8-bit grey (L) or RGB")
    return np.asarray(image.convert("RGB"))


def without_tiff(data: bytes, grey_range: GreyRange | None = None) -> bytes:
    """Return an image file in a format that a published model reads.

    TIFF, which TensorFlow cannot decode, becomes PNG, and so does grey of more than 8 bits.

    Args:
        data: image file.
        grey_range: how grey values of more than 8 bits become 8 bits, as the model's dataset was ingested.

    Raises:
        ImageUnreadable: see `decode`; also if the image has more than 8 bits and no range is given.
    """
    stored = _stored_image(data)
    image = upright(stored)
    with _explained(data):
        values = deep_values(stored, image)
    if values is not None:
        if grey_range is None:
            raise ImageUnreadable(
                f"{bits_per_channel(stored, data)} bits per pixel, with values from {values.min():,} to {values.max():,}, and this version has no "
                "grey range on record, because its dataset was ingested from images of 8 bits or before there was one. "
                f"'predict --grey-range {GreyRange.of_sensor(int(values.max()))}' maps such values to 8 bits: name the range that the patches were made with"
            )
        return as_png(grey_range.to_8_bits(values))
    pixels = _rgb(image)
    return as_png(pixels) if image.format == "TIFF" or image is not stored else data


def as_png(pixels: np.ndarray) -> bytes:
    """Encode uint8 pixels, (height, width) or (height, width, 3), as PNG."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG")
    return data.getvalue()


def read_batches(storage: Storage, paths: Sequence[str], batch_size: int) -> Iterator[np.ndarray]:
    """Yield patches in order as uint8 arrays (n, height, width, 3), n ≤ batch_size.

    Decoding runs in threads (Pillow releases the interpreter lock), at most two batches ahead, so that memory use does not
    depend on the size of the dataset.

    Raises:
        ImageUnreadable: a patch cannot be decoded; the message names it.
    """

    def load(path: str) -> np.ndarray:
        try:
            return decode(storage.read(path))
        except ImageUnreadable as error:
            raise ImageUnreadable(f"{storage.location(path)}: {error}") from None

    with ThreadPoolExecutor(_THREADS) as pool:
        waiting = iter(paths)
        ahead = [pool.submit(load, path) for path in islice(waiting, 2 * batch_size)]
        while ahead:
            done, ahead = ahead[:batch_size], ahead[batch_size:]
            yield np.stack([future.result() for future in done])
            ahead += [pool.submit(load, path) for path in islice(waiting, batch_size)]
