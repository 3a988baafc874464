"""Kinds of defects: the sample dataset's, and those that it does not have.

Each takes the grain's standard deviation, so that every defect is visible against it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steel_training.ingest.synthetic.defects import DEFECTS, Defect
from steel_training.ingest.synthetic.surfaces import smooth_line, smooth_noise, soft_step


def crack(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """A dark, wandering line that forks."""
    change, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
    contrast = rng.uniform(0.15 + 2.0 * grain, 1.0 + 2.0 * grain)
    branches = [(rng.uniform((0, 0), shape), rng.uniform(0, 2 * np.pi), rng.integers(40, 160))]
    y, x = np.ogrid[: shape[0], : shape[1]]
    while branches and len(branches) < 6:
        place, heading, steps = branches.pop()
        width = rng.uniform(0.6, 1.6)
        path = []
        for step in range(steps):
            heading += rng.normal(0.0, 0.16)
            place = place + np.array([np.sin(heading), np.cos(heading)])
            path.append(place)
            if rng.random() < 0.012:
                branches.insert(0, (place, heading + rng.choice((-1, 1)) * rng.uniform(0.4, 1.0), steps - step))
        for py, px in path[:: max(1, int(width))]:
            if not (-3 <= py < shape[0] + 3 and -3 <= px < shape[1] + 3):
                continue
            top, left = max(int(py) - 5, 0), max(int(px) - 5, 0)
            window = np.s_[top : int(py) + 6, left : int(px) + 6]
            distance = np.hypot(y[window[0]] - py, x[:, window[1]] - px)
            change[window] = np.minimum(change[window], -contrast * np.exp(-0.5 * (distance / width) ** 2))
            mask[window] |= distance <= 1.4 * width + 0.5
    return Defect(change, mask)


def dent(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """A hollow or bump: lit on one side, in shade on the other; several in a row where a roll is damaged."""
    change, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
    contrast = rng.uniform(0.14 + 1.6 * grain, 0.9 + grain)
    size, stretch, lit = rng.uniform(3.0, 13.0), rng.uniform(0.7, 1.5), rng.uniform(0, 2 * np.pi)
    first, step = rng.uniform((0, 0), shape), rng.uniform(20.0, 90.0)
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    x = np.arange(shape[1], dtype=np.float32)[None, :]
    for number in range(int(rng.choice((1, 2, 3)))):
        dy, dx = y - (first[0] + number * step), x - first[1]
        shade = np.exp(-0.5 * ((dy / (size * stretch)) ** 2 + (dx / size) ** 2))
        slope = (np.sin(lit) * dy / stretch + np.cos(lit) * dx) / size
        change += contrast * 1.6 * slope * shade
        mask |= shade > 0.35
    return Defect(change, mask)


def crazing(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """A net of fine dark lines over an area: the valleys of a random field."""
    contrast = rng.uniform(0.15 + 1.8 * grain, 0.7 + 2.0 * grain)
    scale = rng.uniform(3.0, 8.0)
    field = smooth_noise(rng, shape, scale * rng.uniform(0.7, 1.6), scale)
    lines = np.exp(-0.5 * (field / rng.uniform(0.08, 0.2)) ** 2)
    centre, size = rng.uniform((0, 0), shape), rng.uniform(20.0, 80.0, 2)
    y = np.arange(shape[0], dtype=np.float32)[:, None] - centre[0]
    x = np.arange(shape[1], dtype=np.float32)[None, :] - centre[1]
    inside = soft_step((1 - np.hypot(y / size[0], x / size[1]) + 0.3 * smooth_noise(rng, shape, 12, 12)) / 0.08)
    return Defect((-contrast * inside * lines).astype(np.float32), inside > 0.5)


def blotches(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """Fields where the oxide has come off or stayed: ragged areas of another reflectance, of many sizes at once."""
    contrast = rng.choice((-1.0, 1.0), p=(0.8, 0.2)) * rng.uniform(0.16 + 1.2 * grain, 0.9)
    scale = rng.uniform(6.0, 26.0)
    stretch = np.exp(rng.uniform(-0.5, 1.3))
    field = smooth_noise(rng, shape, scale * stretch, scale) + 0.35 * smooth_noise(rng, shape, 3.0 * stretch, 3.0)
    cover = soft_step((field - rng.uniform(0.8, 1.7)) / rng.uniform(0.03, 0.15))
    return Defect((contrast * cover * (1 + 0.25 * smooth_noise(rng, shape, 4, 3))).astype(np.float32), cover > 0.3)


def streak_cluster(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """Short dark streaks drawn out along the strip, side by side: slivers and stringers."""
    change, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
    contrast = rng.choice((-1.0, 1.0), p=(0.75, 0.25)) * rng.uniform(0.16 + 2.0 * grain, 0.9 + grain)
    centre = rng.uniform((0, 0), shape)
    along = np.arange(shape[0], dtype=np.float32)
    across = np.arange(shape[1], dtype=np.float32)[None, :]
    for _ in range(rng.integers(1, 7)):
        middle, place = centre + rng.standard_normal(2) * (30.0, 12.0)
        half, sigma = rng.uniform(8.0, 60.0), rng.uniform(0.7, 2.6)
        taper = soft_step((half - np.abs(along - middle)) / 2.0)
        offset = np.abs(across - (place + 1.2 * smooth_line(rng, shape[0], 18.0))[:, None])
        change += contrast * rng.uniform(0.6, 1.0) * taper[:, None] * np.exp(-0.5 * (offset / sigma) ** 2)
        mask |= (offset <= 1.5 * sigma + 0.5) & (taper > 0.4)[:, None]
    return Defect(change, mask)


def bright_scratches(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """Bright lines side by side, from one edge to the other or less, up to the camera's limit: guides that drag."""
    change, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
    contrast = rng.uniform(0.15 + 1.6 * grain, 1.8)
    along = np.arange(shape[0], dtype=np.float32)
    across = np.arange(shape[1], dtype=np.float32)[None, :]
    centre, tilt = rng.uniform((0, 0), shape), rng.normal(0.0, 0.12)
    for _ in range(rng.integers(1, 6)):
        middle, place = centre + rng.standard_normal(2) * (40.0, 9.0)
        half, sigma = rng.uniform(12.0, 160.0), np.exp(rng.uniform(np.log(0.6), np.log(5.0)))
        taper = soft_step((half - np.abs(along - middle)) / rng.uniform(1.5, 8.0))
        flaws = np.exp(rng.uniform(0.0, 0.5) * smooth_line(rng, shape[0], rng.uniform(1.0, 8.0)))
        way = place + tilt * (along - centre[0]) + rng.uniform(0.0, 2.0) * smooth_line(rng, shape[0], 25.0)
        offset = np.abs(across - way[:, None])
        line = (taper * flaws)[:, None] * np.exp(-0.5 * (offset / sigma) ** rng.choice((2, 4)))
        change = np.maximum(change, contrast * rng.uniform(0.4, 1.0) * line)
        mask |= (offset <= 1.4 * sigma + 0.5) & (taper > 0.4)[:, None]
    return Defect(change.astype(np.float32), mask)


def shadows(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """Dark clouds with soft, ragged borders, through which the grain still shows: scale patches."""
    change, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
    contrast = rng.uniform(0.2 + 0.8 * grain, 1.4)
    ragged = smooth_noise(rng, shape, *rng.uniform(4.0, 14.0, 2))
    for _ in range(rng.integers(1, 4)):
        centre, size = rng.uniform((0, 0), shape), rng.uniform(9.0, 60.0, 2)
        y = (np.arange(shape[0], dtype=np.float32)[:, None] - centre[0]) / size[0]
        x = (np.arange(shape[1], dtype=np.float32)[None, :] - centre[1]) / size[1]
        cover = soft_step((1.0 - np.hypot(y, x) + 0.25 * ragged) / rng.uniform(0.04, 0.2))
        change = np.minimum(change, -contrast * cover)
        mask |= cover > 0.4
    return Defect(change.astype(np.float32), mask)


def inclusions(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Defect:
    """Faint, soft-edged oblong spots along the strip, one or a shower of them."""
    change, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
    contrast = rng.choice((-1.0, 1.0), p=(0.85, 0.15)) * rng.uniform(0.07 + 1.3 * grain, 0.5 + grain)
    spread = rng.uniform(6.0, 60.0)
    centre = rng.uniform((0, 0), shape)
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    x = np.arange(shape[1], dtype=np.float32)[None, :]
    for _ in range(rng.choice((1, 2, 4, 9, 16))):
        place = centre + rng.standard_normal(2) * (1.5 * spread, spread)
        length, width, lean = rng.uniform(3.0, 16.0), rng.uniform(1.0, 4.0), rng.normal(0.0, 0.15)
        dy, dx = y - place[0], x - place[1]
        shade = np.exp(-0.5 * ((dy / length) ** 2 + ((dx - lean * dy) / width) ** 2) ** 1.5)
        change += contrast * rng.uniform(0.6, 1.0) * shade
        mask |= shade > 0.4
    return Defect(change.astype(np.float32), mask)


KINDS: tuple[tuple[str, Callable[[np.random.Generator, tuple[int, int], float], Defect]], ...] = (
    *DEFECTS,
    ("cracks", crack),
    ("dents", dent),
    ("crazing", crazing),
    ("blotches", blotches),
    ("stringers", streak_cluster),
    ("bright scratches", bright_scratches),
    ("shadows", shadows),
    ("inclusions", inclusions),
)
