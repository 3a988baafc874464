"""Asks what is left of one patch after its aligned copy is taken away: nothing but noise, or other steel.

A relief that is stronger than the steel it is embossed into lifts every correlation, since most of what is compared is the
relief. What is left when one patch's grey values are fitted to the other's then still shows steel that only one of them has.
Of the same steel only noise is left, from camera or JPEG: as strong in fine structures as in coarser ones, or weak
(docs/leakage.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from steel_training.data.matching.overlap import overlap
from steel_training.data.matching.symmetries import oriented

# Pixels. Grain of steel is coarser than the noise of cameras, and finer than lighting.
_FINE, _COARSE = 1.4, 2.8
_NOISE = 0.7
# Grey values of white noise that would leave as much: what copies after JPEG at quality 90 leave as a rule.
_SLIGHT = 3.5
# In the mean of both patches. Pairs of different steel under one embossed texture left at least 3.2.
_STEEL = 2.5
# Times the noise, in the mean of both. Copies left up to 1.8 times, and 1.7 with noise of 10 grey values added. Different steel left at least
# 2.1 times where its grain agreed by 0.8 and more; where it agreed less, at least 1.60, and copies up to 1.46 (docs/leakage.md).
_COARSER, _COARSER_IN_DOUBT, _DOUBTFUL_GRAIN = 2.0, 1.53, 0.8
# Then in each as well: of the two, a noisy copy leaves no more than white noise, which is 1.0, however strong.
_COARSER_IN_EACH = 1.4
_EXACT = 1e-9  # no noise
# A place is unknown where the camera was at its end; with fewer known ones nothing is said.
_SATURATED, _FEWEST_KNOWN = (0, 255), 0.5


@dataclass(frozen=True)
class Residual:
    """What is left of each of two aligned patches after the other's grey values are fitted to its own.

    Attributes:
        coarse: at the scale of grain, grey values of white noise that would leave as much; of either patch.
        fine: at the scale of noise, likewise.
    """

    coarse: tuple[float, float]
    fine: tuple[float, float]

    @property
    def is_slight(self) -> bool:
        """Whether no more is left than JPEG leaves."""
        return max(self.coarse) <= _SLIGHT

    def is_other_steel(self, grain: float) -> bool:
        """Whether each patch shows steel that the other does not.

        By the mean of both: of a dark patch beside a bright one the less is left, the darker it is. Where that alone does not tell, by each:
        a noisy copy does not explain the whole of its original, but the original explains all of the copy but the noise.

        Args:
            grain: agreement of the fine grain of the two patches, a correlation.
        """
        if math.sqrt(math.prod(self.coarse)) <= _STEEL:
            return False
        coarser = [left / max(noise, _EXACT) for left, noise in zip(self.coarse, self.fine, strict=True)]
        both = math.sqrt(math.prod(coarser))
        doubtful = grain < _DOUBTFUL_GRAIN and min(coarser) > _COARSER_IN_EACH
        return both > (_COARSER_IN_DOUBT if doubtful else _COARSER)


def residual(first: np.ndarray, second: np.ndarray, orientation: int, shift: tuple[int, int]) -> Residual | None:
    """Measure what is left of two aligned patches.

    Args:
        first: uint8 grey, (height, width).
        second: uint8 grey, (height, width).
        orientation: that aligns the first patch with the second.
        shift: position of its corner, oriented, on the second: (y, x), pixels.

    Returns:
        `None` if less than half of the overlap is known, the rest being saturated.
    """
    ours, theirs = oriented(first, orientation), second
    here, there = overlap(ours.shape, theirs.shape, shift)
    a, b = ours[here], theirs[there]
    known = ~(np.isin(a, _SATURATED) | np.isin(b, _SATURATED))
    if not known.size or known.mean() < _FEWEST_KNOWN:
        return None
    (one, other), (one_noise, other_noise) = zip(
        *(_at_two_scales(_left_over(*each, known)) for each in ((a, b), (b, a))), strict=True
    )
    return Residual((one, other), (one_noise, other_noise))


def _left_over(source: np.ndarray, target: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return what is left of the target after the best tone curve of the source, float (height, width); 0 where either is saturated.

    A quadratic curve: gain, offset, and the gamma of another exposure.
    """
    values = source.astype(np.float64)
    spread = max(float(values[known].std()), 1e-6)
    centred = (values - values[known].mean()) / spread
    powers = np.stack([np.ones_like(centred), centred, centred**2], axis=-1)
    curve, *_ = np.linalg.lstsq(powers[known], target[known].astype(np.float64), rcond=None)
    return np.where(known, target - powers @ curve, 0.0)


def _at_two_scales(left: np.ndarray) -> tuple[float, float]:
    """Return the standard deviations at the scales of grain and of noise, in those of white noise."""
    coarse = gaussian_filter(left, _FINE) - gaussian_filter(left, _COARSE)
    # Streaks along the strip are common to different pieces of one coil, and may differ between exposures.
    coarse = coarse - coarse.mean(axis=0) - coarse.mean(axis=1, keepdims=True) + coarse.mean()
    fine = left - gaussian_filter(left, _NOISE)
    return float(coarse.std()) / _OF_WHITE_COARSE, float(fine.std()) / _OF_WHITE_FINE


def _left_of_white_noise(fine: float, coarse: float) -> float:
    """Return the standard deviation that is left of white noise of 1 between two scales, in pixels; a scale of 0 leaves all."""
    impulse = np.zeros((33, 33))
    impulse[16, 16] = 1.0
    kernel = gaussian_filter(impulse, fine) - gaussian_filter(impulse, coarse)
    return float(np.sqrt((kernel**2).sum()))


_OF_WHITE_COARSE = _left_of_white_noise(_FINE, _COARSE)
_OF_WHITE_FINE = _left_of_white_noise(0, _NOISE)
