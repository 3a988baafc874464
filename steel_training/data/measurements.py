"""Measurements and hashes of one image file, from a single decode. Light to import, since every worker process imports it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from PIL import Image

from steel_training.data.capture_traces import packing_of, signature_of
from steel_training.data.images import GREY_AND_RGB, ImageUnreadable, open_image
from steel_training.data.matching.keypoints import keypoints_of
from steel_training.storage import ObjectNotFound, PackDamaged, PathEscapes, Storage, StorageError, open_dataset

LEAVES_DATASET = "leaves the dataset"
MISSING_FILE = "missing file"
NO_PATH = "no path"
UNREADABLE_FILE = "cannot be read"

# Grey values (standard deviation). Below it a patch is blank, and blank patches are identical without being copies.
BLANK = 0.5
# Reading an S3 object takes tens of milliseconds, nearly all of it latency.
_READS_AT_ONCE_ON_S3 = 16
_EIGHT_BIT = GREY_AND_RGB | {"1", "P", "PA", "LA", "La", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
_Packed = bytes  # an alias, since `Measures` has a field named bytes
_GREYS = np.arange(256, dtype=np.float64)


class Measures(NamedTuple):
    """The measured columns of one patch; `None` for what cannot be measured.

    Attributes:
        bytes: size of the file.
        format: PNG, JPEG, BMP or TIFF.
        mode: Pillow's name of the pixel format: L is 8-bit grey, RGB 8-bit colour, I;16 16-bit grey.
        width: pixels.
        height: pixels.
        decode_error: why the file could not be decoded; empty if it was, or if it was not opened at all.
        brightness: mean grey value, 0–255.
        contrast: standard deviation of the grey values.
        sharpness: variance of the Laplacian of the grey values (Pech-Pacheco et al. 2000); 0 below 3 pixels per side.
        dark: 1st percentile of the grey values.
        bright: 99th percentile of the grey values.
        file_hash: BLAKE2b of the bytes, 32 hexadecimal digits.
        pixel_hash: BLAKE2b of size and RGB pixels: equal for all lossless files of the same pixels, grey or RGB.
        path_problem: why the file was not opened; empty if it was.
        packing: file size relative to a re-encoding of the same pixels (`capture_traces.packing_of`).
        jpeg_tables: hash of the quantisation tables of a JPEG file; empty for other formats.
        tint: mean of red minus mean of blue, grey values; 0 for grey images.
        frame: this and the next seven are fields of `capture_traces.Signature`.
        corner: brightness of the corners relative to the centre.
        noise: of the sensor.
        grain: noise relative to the steps between neighbouring pixels.
        blur: of lens and software.
        comb: gaps in the histogram.
        odd: share of odd grey values.
        blocking: of JPEG.
        anchors: keypoints of the patch (`matching.keypoints.KEYPOINT` as bytes), a few kilobytes.
    """

    bytes: int | None = None
    format: str | None = None
    mode: str | None = None
    width: int | None = None
    height: int | None = None
    decode_error: str = ""
    brightness: float | None = None
    contrast: float | None = None
    sharpness: float | None = None
    dark: float | None = None
    bright: float | None = None
    file_hash: str | None = None
    pixel_hash: str | None = None
    path_problem: str = ""
    packing: float | None = None
    jpeg_tables: str | None = None
    tint: float | None = None
    frame: float | None = None
    corner: float | None = None
    noise: float | None = None
    grain: float | None = None
    blur: float | None = None
    comb: float | None = None
    odd: float | None = None
    blocking: float | None = None
    anchors: _Packed | None = None


def measure_files(storage: Storage, paths: Sequence[str | None]) -> list[Measures]:
    """Measure files in order; several at a time on S3, where reading is bound by latency.

    Raises:
        StorageError: the storage itself cannot be reached.
    """
    if storage.is_local:
        return [measure_file(storage, path) for path in paths]
    with ThreadPoolExecutor(_READS_AT_ONCE_ON_S3) as pool:
        return list(pool.map(partial(measure_file, storage), paths))


def measure_files_at(uri: str, paths: Sequence[str | None]) -> list[Measures]:
    """`measure_files` for a worker process, which opens the storage itself, since an S3 client cannot be pickled."""
    return measure_files(_opened(uri), paths)


@cache
def _opened(uri: str) -> Storage:
    """Open the storage once per worker process, and with it one S3 client."""
    return open_dataset(uri)


def measure_file(storage: Storage, path: str | None) -> Measures:
    """Read and measure one file. A path that points outside the storage is not opened.

    Raises:
        StorageError: S3 cannot be reached; in a folder an unreadable file is reported in `path_problem` instead.
    """
    if path is None or not path.strip():
        return Measures(path_problem=NO_PATH)
    try:
        data = storage.read(path)
    except PathEscapes:
        return Measures(path_problem=LEAVES_DATASET)
    except ObjectNotFound:
        return Measures(path_problem=MISSING_FILE)
    except PackDamaged as error:
        return Measures(decode_error=str(error))
    except (StorageError, UnicodeEncodeError):
        if not storage.is_local:
            raise  # on S3 this is the service or the credentials, not the file
        return Measures(path_problem=UNREADABLE_FILE)
    return measure(data)


def measure(data: bytes) -> Measures:
    """Measure one image file; never raises, whatever the bytes are."""
    file_hash = hashlib.blake2b(data, digest_size=16).hexdigest()
    try:
        image = open_image(data)
        return _measure_image(image, len(data))._replace(bytes=len(data), file_hash=file_hash)
    except ImageUnreadable as error:
        reason = str(error)
    except Exception as error:
        # Pillow's decoders raise all kinds of errors on corrupt files: struct.error, KeyError, zlib.error, …
        reason = f"{type(error).__name__}: {error}"
    return Measures(bytes=len(data), file_hash=file_hash, decode_error=reason)


def _measure_image(image: Image.Image, file_size: int) -> Measures:
    grey = grey_of(image)
    if image.mode in _EIGHT_BIT:
        pixels = image.convert("RGB").tobytes()
    else:
        # Pillow clips 16-bit and float pixels on conversion, which would give different images the same hash.
        pixels = f"{image.mode} ".encode() + np.asarray(image).tobytes()
    size = f"{image.width}x{image.height} ".encode()
    packing, jpeg_tables = packing_of(image, file_size)
    counts = np.bincount(grey.ravel(), minlength=256)
    mean = float(counts @ _GREYS) / grey.size
    below = np.cumsum(counts)
    return Measures(
        format=image.format,
        mode=image.mode,
        width=image.width,
        height=image.height,
        brightness=mean,
        contrast=float(np.sqrt(counts @ (_GREYS - mean) ** 2 / grey.size)),
        sharpness=_laplacian_variance(grey),
        dark=float(np.searchsorted(below, 0.01 * grey.size)),
        bright=float(np.searchsorted(below, 0.99 * grey.size)),
        pixel_hash=hashlib.blake2b(size + pixels, digest_size=16).hexdigest(),
        packing=packing,
        jpeg_tables=jpeg_tables,
        tint=_tint(image),
        **signature_of(grey)._asdict(),
        anchors=keypoints_of(grey).tobytes(),
    )


def grey_of(image: Image.Image) -> np.ndarray:
    """Return the grey values of an image of any mode, uint8 (height, width); deeper pixels are scaled."""
    if image.mode == "L":
        return np.asarray(image)
    if image.mode in _EIGHT_BIT:
        return np.asarray(image.convert("RGB").convert("L"))
    return _scaled_to_8_bit(np.asarray(image))


def _tint(image: Image.Image) -> float:
    if image.mode not in ("RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        return 0.0
    red, _, blue = np.asarray(image.convert("RGB")).reshape(-1, 3).mean(axis=0)
    return float(red - blue)


def _scaled_to_8_bit(values: np.ndarray) -> np.ndarray:
    full = 255.0 if values.dtype.kind == "f" else 65535.0
    scaled = np.nan_to_num(values.astype(np.float64), posinf=full, neginf=0.0) * (255.0 / full)
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _laplacian_variance(grey: np.ndarray) -> float:
    if min(grey.shape) < 3:
        return 0.0
    values = grey.astype(np.int16)
    laplacian = values[1:-1, 1:-1] << 2
    laplacian -= values[:-2, 1:-1]
    laplacian -= values[2:, 1:-1]
    laplacian -= values[1:-1, :-2]
    laplacian -= values[1:-1, 2:]
    flat = laplacian.ravel().astype(np.float64)
    mean = flat.mean()
    return float(max(flat @ flat / flat.size - mean * mean, 0.0))
