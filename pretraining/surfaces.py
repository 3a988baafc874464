"""Synthetic steel for pretraining: surfaces, defects, lighting and cameras, varied far beyond any single mill.

The sample dataset imitates one mill; this covers more surfaces and cameras than any mill has. A network that separates
defects from texture on all of them has learned the difference rather than the look of one mill, so that a real surface is
less likely to be out of distribution.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from kinds import KINDS
from PIL import Image

from steel_training.ingest.synthetic.camera import Camera
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
)

SIDE = 224
GRID = 8
PATCHES_PER_STRIP = 12
PATCH_SIZES = (32, 40, 48, 64, 64, 64, 80, 96, 128)
FINISHES = (MILL_SCALE, PICKLED, BRIGHT, MATT)


@dataclass(frozen=True)
class Patches:
    """The patches of one strip.

    Attributes:
        pixels: uint8, (n, size, size), grey.
        kinds: float32, (n, len(KINDS)): 1 where the patch holds the kind, 0 where not, NaN where barely.
        where: float32, (n, GRID, GRID, len(KINDS)): the same for every cell of the patch.
    """

    pixels: np.ndarray
    kinds: np.ndarray
    where: np.ndarray


def patches_of_strip(rng: np.random.Generator, size: int) -> Patches:
    """Draw a strip, photograph it, and cut patches of several sizes, all resized to `size` pixels."""
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
    if rng.random() < 0.25:  # the speckle of torn scale
        textures += (
            Texture(rng.uniform(0.5, 2.0), rng.uniform(0.5, 2.0), log_uniform(0.08, 0.35)),
            Texture(rng.uniform(10.0, 40.0), rng.uniform(10.0, 40.0), log_uniform(0.03, 0.2)),
        )
    grey = log_uniform(35.0, 200.0)
    return Finish("drawn", (grey * 0.9, grey * 1.1), textures, log_uniform(0.004, 0.05), log_uniform(1.0, 20.0))


def _camera(rng: np.random.Generator) -> Camera:
    return Camera(
        along_axis=0,
        light=(rng.uniform(-0.3, 1.3), rng.uniform(-0.3, 1.3)),
        falloff=rng.uniform(0.0, 1.3),
        vignetting=rng.uniform(0.0, 0.4),
        blur=rng.uniform(0.3, 1.5),
        noise=rng.uniform(0.5, 4.0),
        full_well=rng.uniform(40.0, 150.0),
    )


def _developed(rng: np.random.Generator, grey: np.ndarray) -> np.ndarray:
    """Return a photograph after post-processing: contrast, brightness, JPEG."""
    values = grey.astype(np.float32)
    mean = values.mean()
    contrast = np.exp(rng.uniform(np.log(0.6), np.log(2.5)))
    values = (values - mean) * contrast + np.clip(mean + rng.uniform(-50, 50), 30, 225)
    image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    if rng.random() < 0.6:
        data = io.BytesIO()
        image.save(data, "JPEG", quality=int(rng.integers(55, 97)))
        image = Image.open(data)
    return np.asarray(image)


def _cut(rng: np.random.Generator, photograph: np.ndarray, masks: np.ndarray, size: int) -> Patches:
    pixels, kinds, where = [], [], []
    marked = np.argwhere(masks.any(0))
    for _ in range(PATCHES_PER_STRIP):
        side = int(rng.choice(PATCH_SIZES))
        top, left = rng.integers(0, SIDE - side + 1, 2)
        if len(marked) and rng.random() < 0.4:  # near a defect, not centred on it
            y, x = marked[rng.integers(len(marked))]
            top, left = (np.clip(c - rng.integers(0, side), 0, SIDE - side) for c in (y, x))
        cut = np.s_[top : top + side, left : left + side]
        image = Image.fromarray(photograph[cut]).resize((size, size), Image.Resampling.BILINEAR)
        pixels.append(np.asarray(image))
        inside = masks[:, cut[0], cut[1]]
        kinds.append(_labels(inside.mean((1, 2)), least=0.01))
        cells = inside.reshape(len(KINDS), GRID, side // GRID, GRID, side // GRID).mean((2, 4))
        where.append(_labels(cells, least=0.08).transpose(1, 2, 0))
    return Patches(np.stack(pixels), np.stack(kinds), np.stack(where))


def _labels(share: np.ndarray, *, least: float) -> np.ndarray:
    return np.where(share >= least, 1.0, np.where(share == 0, 0.0, np.nan)).astype(np.float32)
