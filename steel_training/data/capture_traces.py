"""Acquisition signature of a patch: the traces that camera, software and file format leave in it.

Real defects change brightness, contrast and sharpness, so these may legitimately predict the label. The signature should
not: it is measured on the border of a patch, on what most of its pixels have in common, and on how the file was encoded.
Means are trimmed, so that a defect that covers a quarter of the patch does not change them.
"""

from __future__ import annotations

import hashlib
import io
from typing import NamedTuple

import numpy as np
from PIL import Image

_KEPT = 0.75
_RINGS = 3
_SMALLEST = 16
_BLOCK = 8
# Minimum range between the 2nd and the 98th percentile, grey values, for gaps in the histogram to mean anything.
_FEWEST_GREYS = 16


class Signature(NamedTuple):
    """Pixel statistics of one patch; all `None` below 16 pixels per side.

    Attributes:
        frame: largest step in mean grey value between neighbouring outer rings of pixels, relative to the typical step between
            neighbouring pixels.
        corner: median grey value of the median corner minus that of the centre, relative to the trimmed mean deviation of the patch.
        noise: trimmed mean of second differences, grey values: sensor noise, less what software removed.
        grain: `noise` divided by the trimmed mean step between neighbouring pixels: 1.2 for pure noise, lower for softer images.
        blur: trimmed mean step over two pixels divided by that over one: 1 for noise, higher for softer images.
        comb: share of the grey values within the patch's range that no pixel has; high after histogram stretching.
        odd: share of pixels with an odd grey value.
        blocking: largest mean step among the eight columns or rows of the JPEG grid, relative to the median one.
    """

    frame: float | None = None
    corner: float | None = None
    noise: float | None = None
    grain: float | None = None
    blur: float | None = None
    comb: float | None = None
    odd: float | None = None
    blocking: float | None = None


def signature_of(grey: np.ndarray) -> Signature:
    """Return the signature of a grey image, uint8 (height, width)."""
    if min(grey.shape) < _SMALLEST:
        return Signature()
    values = grey.astype(np.int16)
    across, along = np.abs(np.diff(values, axis=1)), np.abs(np.diff(values, axis=0))
    step = (_trimmed(across) + _trimmed(along)) / 2
    wide = (_trimmed(np.abs(values[:, 2:] - values[:, :-2])) + _trimmed(np.abs(values[2:] - values[:-2]))) / 2
    noise = _trimmed(np.abs(np.diff(np.diff(values, axis=1), axis=0)))
    return Signature(
        frame=_frame(values) / (step + 0.5),
        corner=_corner(values),
        noise=noise,
        grain=noise / (step + 0.05),
        blur=wide / (step + 0.05),
        comb=_comb(np.bincount(grey.ravel(), minlength=256)),
        odd=float((grey & 1).mean()),
        blocking=max(_blocking(across.mean(axis=0)), _blocking(along.mean(axis=1))),
    )


def packing_of(image: Image.Image, size: int) -> tuple[float | None, str]:
    """Return the relative file size and the ID of the JPEG quantisation tables.

    The size is divided by that of the same pixels re-encoded here in the same format. Image content that compresses badly
    does so in both files, so the ratio reflects encoder, settings and extra data in the file.

    Args:
        image: as opened by Pillow, with its format and JPEG tables.
        size: of the file, bytes.

    Returns:
        The size ratio, `None` if the image cannot be re-encoded; and a hash of the tables, 8 hexadecimal digits, empty for
        other formats than JPEG.
    """
    tables = getattr(image, "quantization", None)
    out, plain = io.BytesIO(), image.copy()
    plain.info = {}  # otherwise Pillow copies comments
    try:
        if tables:
            plain.save(out, "JPEG", qtables=tables)
        elif image.format == "PNG":
            plain.save(out, "PNG", compress_level=1)
        else:
            plain.save(out, image.format)
    except (OSError, ValueError, KeyError, TypeError):
        return None, ""
    named = hashlib.blake2b(repr(sorted(tables.items())).encode(), digest_size=4).hexdigest() if tables else ""
    return size / max(out.tell(), 1), named


def _trimmed(values: np.ndarray) -> float:
    """Mean of the smallest three quarters of non-negative integers; counts them, since sorting is slower."""
    counts = np.bincount(values.ravel())
    kept = int(_KEPT * values.size)
    below = np.cumsum(counts)
    last = int(np.searchsorted(below, kept))
    whole = below[last - 1] if last else 0
    return float((counts[:last] @ np.arange(last) + (kept - whole) * last) / kept)


def _median(values: np.ndarray) -> float:
    """Median of non-negative integers, from their counts."""
    below = np.cumsum(np.bincount(values.ravel()))
    low, high = np.searchsorted(below, ((values.size - 1) // 2, values.size // 2), side="right")
    return float(low + high) / 2


def _frame(values: np.ndarray) -> float:
    rings = []
    for ring in range(_RINGS + 1):
        inner = values[ring : values.shape[0] - ring, ring : values.shape[1] - ring]
        rings.append(float(np.concatenate([inner[0], inner[-1], inner[1:-1, 0], inner[1:-1, -1]]).mean()))
    return float(np.abs(np.diff(rings)).max())


def _corner(values: np.ndarray) -> float:
    high, wide = (side // 8 for side in values.shape)
    corners = [_median(values[y, x]) for y in (np.s_[:high], np.s_[-high:]) for x in (np.s_[:wide], np.s_[-wide:])]
    middle = _median(values[2 * high : -2 * high, 2 * wide : -2 * wide])
    # Medians of pixels and of corners, so that a defect in one corner or in the centre has no effect.
    second, third = sorted(corners)[1:3]
    away = np.abs(2 * values - int(2 * _median(values)))  # doubled: a median may lie between two grey values
    return ((second + third) / 2 - middle) / (_trimmed(away) / 2 + 1)


def _comb(counts: np.ndarray) -> float:
    below = np.cumsum(counts) / counts.sum()
    low, high = np.searchsorted(below, (0.02, 0.98))
    if high - low < _FEWEST_GREYS:
        return 0.0
    return float((counts[low : high + 1] == 0).mean())


def _blocking(steps: np.ndarray) -> float:
    phase = np.arange(len(steps)) % _BLOCK
    means = np.sort(np.bincount(phase, steps) / np.bincount(phase))
    return float(means[-1] / (means[_BLOCK // 2 - 1 : _BLOCK // 2 + 1].mean() + 0.05))
