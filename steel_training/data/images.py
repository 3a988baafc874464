"""Patches as arrays: one way to decode an image, and a reader that keeps order while it decodes in parallel."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from PIL import Image, UnidentifiedImageError

from steel_training.errors import SteelTrainingError
from steel_training.storage import Storage

# A patch is small by contract; a header that promises more is a mistake or an attack on memory.
MAX_SIDE = 2048
GREY_AND_RGB = frozenset({"L", "RGB"})
_THREADS = 8


class ImageUnreadable(SteelTrainingError):
    """A file is no image that the contract allows."""


def open_image(data: bytes) -> Image.Image:
    """Decodes a PNG, JPEG, BMP or TIFF file completely.

    Raises:
        ImageUnreadable: truncated, no image, of another format, or larger than `MAX_SIDE` pixels a side.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "BMP", "TIFF"))
        if max(image.size) > MAX_SIDE:
            raise ImageUnreadable(f"{image.width}×{image.height} pixels; at most {MAX_SIDE} a side are read")
        image.load()
    except UnidentifiedImageError:
        raise ImageUnreadable(f"no PNG, JPEG, BMP or TIFF ({len(data):,} bytes)") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ImageUnreadable(str(error) or type(error).__name__) from None
    return image


def decode(data: bytes) -> np.ndarray:
    """Returns an image file as uint8 RGB of shape (height, width, 3); grey is repeated over the channels.

    Raises:
        ImageUnreadable: see `open_image`; also when the mode is neither 8-bit grey nor RGB.
    """
    return _rgb(open_image(data))


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode not in GREY_AND_RGB:
        raise ImageUnreadable(f"mode {image.mode}; expected 8-bit grey (L) or RGB")
    return np.asarray(image.convert("RGB"))


def without_tiff(data: bytes) -> bytes:
    """Returns an image file as a published model takes it: TIFF, which TensorFlow does not read, as PNG of its pixels.

    Raises:
        ImageUnreadable: see `decode`.
    """
    image = open_image(data)
    pixels = _rgb(image)
    return as_png(pixels) if image.format == "TIFF" else data


def as_png(pixels: np.ndarray) -> bytes:
    """Encodes uint8 pixels (height, width, 3) as PNG."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG")
    return data.getvalue()


def read_batches(storage: Storage, paths: Sequence[str], batch_size: int) -> Iterator[np.ndarray]:
    """Yields patches in order as uint8 arrays (n, height, width, 3), n ≤ batch_size.

    Decoding runs in threads (Pillow lets go of the interpreter lock), at most two batches ahead: memory stays bounded
    however large the dataset is.

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
