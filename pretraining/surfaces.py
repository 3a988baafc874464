"""Endless varied steel: surfaces, defects, lamps and cameras drawn far wider than any one mill has them.

The sample dataset shows a mill; this shows what no mill shows all of. A network that has learned to tell defects from
texture on all of it has learned the difference, and not a mill's habits. The more it varies, the less a real surface is
something new.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from steel_training.ingest.synthetic.camera import Camera
from steel_training.ingest.synthetic.defects import DEFECTS, Defect
from steel_training.ingest.synthetic.marks import MARKS
from steel_training.ingest.synthetic.surfaces import (
    BRIGHT,
    MATT,
    MILL_SCALE,
    PICKLED,
    Finish,
    Texture,
    bare_surface,
    new_coil,
    smooth_line,
    smooth_noise,
    soft_step,
)

SIDE = 224
GRID = 8
PATCHES_A_STRIP = 12
PATCH_SIZES = (32, 40, 48, 64, 64, 64, 80, 96, 128)
FINISHES = (MILL_SCALE, PICKLED, BRIGHT, MATT)


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


KINDS: tuple[tuple[str, Callable[[np.random.Generator, tuple[int, int], float], Defect]], ...] = (
    *DEFECTS,
    ("cracks", crack),
    ("dents", dent),
    ("crazing", crazing),
    ("blotches", blotches),
    ("stringers", streak_cluster),
)


@dataclass(frozen=True)
class Patches:
    """What one strip gives.

    Attributes:
        pixels: uint8, (n, size, size), grey.
        kinds: float32, (n, len(KINDS)): 1 where the kind is in the patch, 0 where it is not, NaN where hardly.
        where: float32, (n, GRID, GRID, len(KINDS)): the same for every cell of the patch.
    """

    pixels: np.ndarray
    kinds: np.ndarray
    where: np.ndarray


def patches_of_strip(rng: np.random.Generator, size: int) -> Patches:
    """Draws a strip, photographs it, and cuts patches of several sizes, all resized to `size` pixels."""
    shape = (SIDE, SIDE)
    finish = FINISHES[rng.integers(len(FINISHES))] if rng.random() < 0.35 else _finish(rng)
    coil = new_coil(rng, finish)
    surface = bare_surface(rng, coil, shape)
    for _ in range(rng.poisson(2.5)):
        surface += MARKS[rng.integers(len(MARKS))](rng, shape)
    masks = np.zeros((len(KINDS), *shape), bool)
    for _ in range(rng.choice((0, 1, 2, 3, 4), p=(0.15, 0.3, 0.25, 0.2, 0.1))):
        kind = int(rng.integers(len(KINDS)))
        defect = KINDS[kind][1](rng, shape, coil.grain)
        surface += defect.change
        masks[kind] |= defect.mask
    grey = _camera(rng).expose(rng, surface, grey=coil.grey, flicker=0.05)
    photograph = _developed(rng, grey)
    if rng.random() < 0.5:
        photograph, masks = photograph.T, masks.transpose(0, 2, 1)
    return _cut(rng, np.ascontiguousarray(photograph), masks, size)


def _finish(rng: np.random.Generator) -> Finish:
    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    textures = tuple(
        Texture(log_uniform(0.4, 60.0), log_uniform(0.4, 30.0), log_uniform(0.008, 0.09))
        for _ in range(rng.integers(2, 6))
    )
    grey = log_uniform(45.0, 200.0)
    return Finish("drawn", (grey * 0.9, grey * 1.1), textures, log_uniform(0.004, 0.05), log_uniform(1.0, 20.0))


def _camera(rng: np.random.Generator) -> Camera:
    return Camera(
        along_axis=0,
        lamp=(rng.uniform(-0.3, 1.3), rng.uniform(-0.3, 1.3)),
        falloff=rng.uniform(0.0, 1.3),
        vignetting=rng.uniform(0.0, 0.4),
        blur=rng.uniform(0.3, 1.5),
        noise=rng.uniform(0.5, 4.0),
        full_well=rng.uniform(40.0, 150.0),
    )


def _developed(rng: np.random.Generator, grey: np.ndarray) -> np.ndarray:
    """What happens to a photograph afterwards: contrast, brightness, JPEG."""
    values = grey.astype(np.float32)
    mean = values.mean()
    values = (values - mean) * rng.uniform(0.6, 1.6) + np.clip(mean + rng.uniform(-40, 40), 40, 215)
    image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    if rng.random() < 0.6:
        data = io.BytesIO()
        image.save(data, "JPEG", quality=int(rng.integers(55, 97)))
        image = Image.open(data)
    return np.asarray(image)


def _cut(rng: np.random.Generator, photograph: np.ndarray, masks: np.ndarray, size: int) -> Patches:
    pixels, kinds, where = [], [], []
    marked = np.argwhere(masks.any(0))
    for _ in range(PATCHES_A_STRIP):
        side = int(rng.choice(PATCH_SIZES))
        top, left = rng.integers(0, SIDE - side + 1, 2)
        if len(marked) and rng.random() < 0.4:  # near a defect, not centred on it
            y, x = marked[rng.integers(len(marked))]
            top, left = (np.clip(c - rng.integers(0, side), 0, SIDE - side) for c in (y, x))
        cut = np.s_[top : top + side, left : left + side]
        image = Image.fromarray(photograph[cut]).resize((size, size), Image.Resampling.BILINEAR)
        pixels.append(np.asarray(image))
        inside = masks[:, cut[0], cut[1]]
        kinds.append(_told(inside.mean((1, 2)), least=0.01))
        cells = inside.reshape(len(KINDS), GRID, side // GRID, GRID, side // GRID).mean((2, 4))
        where.append(_told(cells, least=0.08).transpose(1, 2, 0))
    return Patches(np.stack(pixels), np.stack(kinds), np.stack(where))


def _told(share: np.ndarray, *, least: float) -> np.ndarray:
    return np.where(share >= least, 1.0, np.where(share == 0, 0.0, np.nan)).astype(np.float32)
