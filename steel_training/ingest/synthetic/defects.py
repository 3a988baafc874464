"""Defects of rolled strip, each with the pixels that an inspector would mark.

A defect is drawn in the strip's axes, (along rolling, across). Its contrast is spread from obvious to faint; the
faintest still stands out from the grain of its surface, so that an inspector would agree with the mask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from steel_training.ingest.synthetic.surfaces import smooth_line, smooth_noise, soft_step


@dataclass(frozen=True)
class Defect:
    """What a defect does to the surface.

    Attributes:
        change: float32, (along, across), change of log reflectance.
        mask: bool, the same shape: where an inspector marks it.
    """

    change: np.ndarray
    mask: np.ndarray


def scratch(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """One to three thin, nearly straight lines, mostly along the strip; bright metal, or dark when older."""
    if rng.random() < 0.18:
        across = scratch_along(rng, (shape[1], shape[0]), grain)
        return Defect(across.change.T, across.mask.T)
    return scratch_along(rng, shape, grain)


def scratch_along(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """`scratch` with the first axis as its direction."""
    length = rng.uniform(50.0, 240.0)
    start = rng.uniform(-0.3 * length, shape[0] - 0.7 * length)
    middle = start + length / 2
    slope = rng.normal(0.0, 0.10)
    bend = rng.normal(0.0, 0.0003)
    sign = rng.choice((1.0, -1.0), p=(0.65, 0.35))
    contrast = _contrast(rng, faint=0.16 + 2.8 * grain, obvious=1.1)
    along = np.arange(shape[0], dtype=np.float32)
    t = along - middle
    across = np.arange(shape[1], dtype=np.float32)[None, :]
    place = rng.uniform(0, shape[1]) + slope * t + bend * t**2 + 0.4 * smooth_line(rng, shape[0], 14.0)
    change = np.zeros(shape, dtype=np.float32)
    mask = np.zeros(shape, dtype=bool)
    for number in range(rng.choice((1, 2, 3), p=(0.6, 0.25, 0.15))):
        sigma = rng.uniform(0.8, 2.2)
        own = contrast if number == 0 else contrast * rng.uniform(0.5, 1.0)
        half = length / 2 * (1.0 if number == 0 else rng.uniform(0.4, 1.0))
        taper = np.clip((half - np.abs(t)) / (0.08 * half), 0.0, 1.0)
        depth = taper * np.clip(0.95 + 0.3 * smooth_line(rng, shape[0], 9.0), 0.5, 1.4)
        offset = np.abs(across - (place + number * rng.uniform(4.0, 12.0))[:, None])
        change += sign * own * depth[:, None] * np.exp(-0.5 * (offset / sigma) ** 2)
        mask |= (offset <= 1.5 * sigma + 0.5) & (taper > 0.3)[:, None]
    return Defect(change, mask)


def pits(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """A cluster of small holes, dark with a lit rim on one side, drawn out along the strip."""
    centre = rng.uniform((0, 0), shape)
    spread = rng.uniform((14.0, 8.0), (44.0, 22.0))
    contrast = _contrast(rng, faint=0.24 + 2.6 * grain, obvious=1.2)
    lit = rng.uniform(0, 2 * np.pi)
    change = np.zeros(shape, dtype=np.float32)
    mask = np.zeros(shape, dtype=bool)
    for _ in range(rng.integers(10, 40)):
        place = centre + spread * rng.standard_normal(2)
        radius = rng.uniform(1.5, 3.4)
        window, y, x = _window(place, reach=4 * radius + 3, shape=shape)
        if window is None:
            continue
        distance = np.hypot(y / rng.uniform(1.0, 1.5), x)
        rim = np.hypot(y - radius * np.sin(lit), x - radius * np.cos(lit))
        depth = contrast * rng.uniform(0.7, 1.1)
        change[window] -= depth * np.exp(-((distance / radius) ** 2))
        change[window] += 0.35 * depth * np.exp(-((rim / (0.8 * radius)) ** 2))
        mask[window] |= distance <= radius + 1.0
    return Defect(change, mask)


def inclusion(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """Dark, ragged lenses along the strip: slag or oxide rolled out near the surface."""
    contrast = _contrast(rng, faint=0.17 + 1.8 * grain, obvious=0.9)
    centre = rng.uniform((0, 0), shape)
    change = np.zeros(shape, dtype=np.float32)
    mask = np.zeros(shape, dtype=bool)
    for number in range(1 + rng.integers(0, 6)):
        place = centre if number == 0 else centre + rng.uniform((25.0, 8.0), (60.0, 22.0)) * rng.standard_normal(2)
        length = rng.uniform(26.0, 95.0) * (1.0 if number == 0 else 0.6)
        width = np.clip(length * rng.uniform(0.08, 0.18), 3.0, 12.0)
        window, y, x = _window(place, reach=length / 2 + 12, shape=shape)
        if window is None:
            continue
        ragged = smooth_noise(rng, (y.shape[0], x.shape[1]), 5.0, 1.2)
        lens = np.sqrt(np.clip(1 - (2 * y / length) ** 2, 0.0, 1.0))
        sway = rng.normal(0.0, 0.04) * y
        edge = lens * width / 2 * (1 + 0.25 * ragged) - np.abs(x - sway)
        cover = np.where(lens > 0, soft_step(edge / 0.6), 0.0)
        change[window] -= contrast * rng.uniform(0.75, 1.1) * cover * (1 + 0.18 * ragged)
        mask[window] |= cover > 0.2
    return Defect(change, mask)


def rolled_in_scale(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """A field of many dark flakes pressed into the strip, with paler steel between them."""
    contrast = _contrast(rng, faint=0.20 + 2.0 * grain, obvious=1.0)
    size = rng.uniform((24.0, 14.0), (70.0, 36.0))
    field, _ = _blob(rng, shape, size=(size[0], size[1]), ragged=0.25)
    inside = soft_step(field / 0.08)
    flakes = smooth_noise(rng, shape, rng.uniform(2.2, 4.2), rng.uniform(1.4, 2.4))
    cover = inside * soft_step((flakes - rng.uniform(0.6, 1.0)) / 0.18)
    change = contrast * (0.03 * inside - cover)
    return Defect(change.astype(np.float32), cover > 0.15)


def patch(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """A large irregular area of other reflectance with an edge that can be traced, mostly dark."""
    contrast = _contrast(rng, faint=0.20 + 1.3 * grain, obvious=0.9)
    size = rng.uniform((22.0, 13.0), (56.0, 32.0))
    field, reach = _blob(rng, shape, size=(size[0], size[1]), ragged=0.32)
    # The edge is 2 to 5 pixels wide, whatever the size.
    cover = soft_step(field * reach / rng.uniform(0.7, 1.6))
    sign = rng.choice((-1.0, 1.0), p=(0.85, 0.15))
    mottled = 1 + 0.22 * smooth_noise(rng, shape, 6.0, 3.5)
    return Defect((sign * contrast * cover * mottled).astype(np.float32), cover > 0.2)


# In the order of their numbers in a mask, from 1.
DEFECTS: tuple[tuple[str, Callable[[np.random.Generator, tuple[int, int], float], Defect]], ...] = (
    ("scratches", scratch),
    ("pits", pits),
    ("inclusions", inclusion),
    ("rolled-in scale", rolled_in_scale),
    ("patches", patch),
)


def _contrast(rng: np.random.Generator, *, faint: float, obvious: float) -> float:
    """Draw a contrast in log reflectance; small ones are more frequent, as on a real line."""
    return float(faint + (max(obvious, faint) - faint) * rng.beta(1.2, 1.5))


def _blob(
    rng: np.random.Generator, shape: tuple[int, int], *, size: tuple[float, float], ragged: float
) -> tuple[np.ndarray, float]:
    """Return a field that is positive inside an irregular blob and falls by 1 over its smaller radius, and that radius."""
    centre = rng.uniform((0, 0), shape)
    y = np.arange(shape[0], dtype=np.float32)[:, None] - centre[0]
    x = np.arange(shape[1], dtype=np.float32)[None, :] - centre[1]
    outline = ragged * smooth_noise(rng, shape, 0.35 * size[0], 0.35 * size[1])
    return 1 - np.hypot(y / size[0], x / size[1]) + outline, min(size)


def _window(
    place: np.ndarray, *, reach: float, shape: tuple[int, int]
) -> tuple[tuple[slice, slice] | None, np.ndarray, np.ndarray]:
    """Return the part of the strip within reach of a point, and open grids of the distances from it.

    `None` where the point is out of reach of the strip.
    """
    low = np.maximum(np.floor(place - reach), 0).astype(int)
    high = np.minimum(np.ceil(place + reach) + 1, shape).astype(int)
    y = np.arange(low[0], high[0], dtype=np.float32)[:, None] - np.float32(place[0])
    x = np.arange(low[1], high[1], dtype=np.float32)[None, :] - np.float32(place[1])
    return (np.s_[low[0] : high[0], low[1] : high[1]] if (low < high).all() else None), y, x
