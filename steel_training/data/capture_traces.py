"""What camera, software and file leave in a patch besides the steel: its signature.

Honest defects change brightness, contrast and sharpness, so these may tell the label honestly. A signature should not: it
looks at the frame of a patch, at what most of its pixels have in common, and at how the file was packed. Means are trimmed,
so that a defect on a quarter of the patch leaves them alone.
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
# So many grey values must lie between the 2nd and the 98th per cent before gaps between them mean anything.
_FEWEST_GREYS = 16


class Signature(NamedTuple):
    """Of pixels; `None` below 16 pixels a side.

    Attributes:
        frame: largest step in mean grey from one of the outer rings of pixels to the next, in usual steps from pixel to pixel.
        corner: median grey of the median corner less that of the middle, in trimmed mean deviations of the patch.
        noise: trimmed mean of second differences, grey values: what the sensor adds, and what software took away.
        grain: `noise` in the trimmed mean of steps from pixel to pixel: 1.2 for bare noise, less the softer the picture.
        blur: trimmed mean of steps over two pixels in those over one; 1 for noise, more the softer the picture.
        comb: share of the grey values within the patch's range that no pixel has: a stretched histogram.
        odd: share of pixels of odd grey value.
        blocking: largest mean step among the eight columns and rows of a JPEG grid, in the median one.
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
    """Returns the signature of grey values, uint8 (height, width)."""
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
    """Returns the file's size in that of our own file of the same pixels, and what its JPEG tables are called.

    Pixels that are hard to pack are so for both, so what is left tells of encoder, settings and what else is in the file.

    Args:
        image: as opened, with its format and JPEG tables.
        size: of the file, bytes.
    """
    tables = getattr(image, "quantization", None)
    out, plain = io.BytesIO(), image.copy()
    plain.info = {}  # Pillow would copy comments along
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
    """Mean of the smallest three quarters of values that are not negative, by counting: they are few, and a sort is slow."""
    counts = np.bincount(values.ravel())
    kept = int(_KEPT * values.size)
    below = np.cumsum(counts)
    last = int(np.searchsorted(below, kept))
    whole = below[last - 1] if last else 0
    return float((counts[:last] @ np.arange(last) + (kept - whole) * last) / kept)


def _median(values: np.ndarray) -> float:
    """Median of grey values, by counting."""
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
    # Medians of pixels and of corners: a defect in one of them, or in the middle, leaves it alone.
    second, third = sorted(corners)[1:3]
    away = np.abs(2 * values - int(2 * _median(values)))  # a median may lie between two grey values
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
