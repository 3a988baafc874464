"""Compares the grain between the structures of two aligned patches: what a mill does not roll, print or photograph twice.

Relief, lettering, roll marks, rulers, black borders and parts of the machine repeat on different steel, and correlate as well
as copies do. They stand out from the steel around them, which does not repeat. So places with structure are left out, in both
patches, and only the fine grain of the rest is correlated: close to 1 for the same steel, close to 0 for different steel under
one relief (docs/leakage.md).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

from steel_training.data.matching.overlap import overlap
from steel_training.data.matching.symmetries import oriented

# Pixels: the scales of a band. FINE is finer than in `registration`, since what is left of a structure beyond its edge is coarser than grain.
# JPEG leaves little of it on smooth steel; COARSE is what it keeps.
Band = tuple[float, float]
FINE: Band = (0.7, 1.4)
COARSE: Band = (1.4, 2.8)
# Structure is where the local contrast is this many times that of the plainest quarter of the patch.
_STRUCTURE, _PLAINEST = 2.0, 25
_AROUND, _MARGIN = 1.5, 3
# Grey values. A patch without grain has no structure below this contrast, and no grain to compare below the second.
_LEAST_CONTRAST, _FLAT = 0.25, 0.05
_OUTLIER = 1.5 * 1.4826
_MIN_VALUES = 8
# Of the normal distribution: a one-sided bound of 95 %.
_BOUND = 1.645


def grain_agreement(
    first: np.ndarray, second: np.ndarray, orientation: int, shift: tuple[int, int], band: Band = FINE
) -> float | None:
    """Return the lower bound (one-sided, 95 %) of the correlation of the grain in the plain places of the overlap, −1..1.

    Args:
        first: uint8 grey, (height, width).
        second: uint8 grey, (height, width).
        orientation: that aligns the first patch with the second.
        shift: position of its corner, oriented, on the second: (y, x), pixels.
        band: scales of the grain.

    Returns:
        0 if the plain places have no grain (a ruler laid into the image by software); `None` if there are too few to judge.
    """
    ours, theirs = oriented(first, orientation).astype(np.float32), second.astype(np.float32)
    here, there = overlap(ours.shape, theirs.shape, shift)
    plain = _plain(ours, band)[here] & _plain(theirs, band)[there]
    # Smoothing leaves one independent value per 4πσ² pixels.
    values = float(plain.sum()) / (4 * np.pi * band[0] ** 2)
    if values < _MIN_VALUES:
        return None
    a, b = _grain(ours[here], plain, band), _grain(theirs[there], plain, band)
    spreads = float(a.std()), float(b.std())
    if min(spreads) < _FLAT:
        return 0.0
    correlation = np.clip((a * b).mean() / (spreads[0] * spreads[1]), -0.9999, 0.9999)
    return float(np.tanh(np.arctanh(correlation) - _BOUND / np.sqrt(values - 3)))


def _plain(grey: np.ndarray, band: Band) -> np.ndarray:
    """Return where a patch has no structure, bool (height, width)."""
    fine, coarse = (gaussian_filter(grey, sigma) for sigma in band)
    contrast = np.sqrt(gaussian_filter((fine - coarse) ** 2, _AROUND))
    usual = max(float(np.percentile(contrast, _PLAINEST)), _LEAST_CONTRAST)
    return np.asarray(~binary_dilation(contrast > _STRUCTURE * usual, iterations=_MARGIN))


def _grain(grey: np.ndarray, plain: np.ndarray, band: Band) -> np.ndarray:
    """Return the grain of the plain pixels, without streaks and clipped, float of mean 0 (n,)."""
    weight = plain.astype(np.float32)
    fine, coarse = (_smoothed(grey, weight, sigma) for sigma in band)
    grain = fine - coarse
    for axis in (0, 1, 0, 1):  # rows and columns have different pixels left, so one pass does not centre both
        grain = grain - (grain * weight).sum(axis, keepdims=True) / np.maximum(weight.sum(axis, keepdims=True), 1)
    values = grain[plain]
    limit = _OUTLIER * float(np.median(np.abs(values)))
    values = np.clip(values, -limit, limit)
    return np.asarray(values - values.mean())


def _smoothed(grey: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Return the weighted local mean, so that nothing of a structure leaks into the plain places beside it."""
    return np.asarray(gaussian_filter(grey * weight, sigma) / np.maximum(gaussian_filter(weight, sigma), 1e-3))
