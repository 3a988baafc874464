"""Coils run through two lines, are photographed, and the photographs are cut into patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from PIL import Image

from steel_training.data.dataset import new_dataset
from steel_training.errors import UsageError
from steel_training.ingest.cut_rule import CutRule
from steel_training.ingest.synthetic.camera import Camera
from steel_training.ingest.synthetic.defects import DEFECTS
from steel_training.ingest.synthetic.marks import MARKS
from steel_training.ingest.synthetic.surfaces import (
    BRIGHT,
    MATT,
    MILL_SCALE,
    PICKLED,
    Coil,
    Finish,
    bare_surface,
    new_coil,
)
from steel_training.ingest.tiling import Cutter, IngestSummary, Progress

# Size of a photograph in patches.
PATCHES_HIGH, PATCHES_WIDE = 4, 7
DEFECTS_PER_PHOTOGRAPH = 3.4
MARKS_PER_PHOTOGRAPH = 3.6

_FIRST_COIL = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
_COLOURS = ((0, 0, 0), (230, 80, 60), (240, 180, 40), (70, 160, 220), (150, 90, 200), (80, 190, 110))


class SampleInvalid(UsageError):
    """The parameters of the sample are out of range."""


@dataclass(frozen=True)
class Line:
    """A line of the mill: its camera, and the finishes that run on it."""

    name: str
    camera: Camera
    finishes: tuple[Finish, ...]


LINES = (
    Line(
        "hot-strip",
        Camera(along_axis=0, light=(0.4, 0.3), falloff=0.9, vignetting=0.18, blur=0.55, noise=1.2, full_well=90.0),
        (MILL_SCALE, PICKLED),
    ),
    Line(
        "cold-mill",
        Camera(along_axis=1, light=(0.6, 0.75), falloff=0.7, vignetting=0.22, blur=0.5, noise=1.0, full_well=110.0),
        (BRIGHT, MATT),
    ),
)


@dataclass(frozen=True)
class Photograph:
    """One photograph of a coil.

    Attributes:
        name: unique.
        coil: name of the coil.
        line: name of the line.
        captured_at: when.
        pixels: uint8, (height, width).
        mask: uint8, the same shape; 0 clean, else the number of the defect in `DEFECTS`, from 1.
    """

    name: str
    coil: str
    line: str
    captured_at: datetime
    pixels: np.ndarray
    mask: np.ndarray


def make_sample(
    out: str,
    *,
    coils: int = 24,
    photographs_per_coil: int = 4,
    seed: int = 20,
    patch: int = 64,
    progress: Progress | None = None,
) -> IngestSummary:
    """Make a dataset of procedural steel strips; the photographs and their masks are written beside the patches.

    The same arguments give the same bytes. Patches, photographs and masks are in `patches/`, `photographs/` and
    `masks/`; the manifest lists the patches only. A coil is a group.

    Args:
        out: folder or S3 prefix of the new dataset; must be empty.
        coils: number of coils, at least 2; they alternate between the two lines.
        photographs_per_coil: each is 4 patches high and 7 wide.
        seed: of all random draws.
        patch: side of a patch, pixels.
        progress: called with the coils done so far and their total.

    Raises:
        SampleInvalid: a number is out of range.
        OutputExists: `out` is not empty.
    """
    for name, value, low, high in (
        ("coils", coils, 2, 10_000),
        ("photographs per coil", photographs_per_coil, 1, 1_000),
        ("seed", seed, 0, 2**31 - 1),
        ("patch size", patch, 32, 256),
    ):
        if not low <= value <= high:
            raise SampleInvalid(f"The {name} is {value}; expected {low} to {high}.")
    rule = CutRule(patch=patch, stride=patch)
    names = {number: name for number, (name, _) in enumerate(DEFECTS, start=1)}
    with new_dataset(out) as writer:
        for folder in ("photographs", "masks"):
            (writer.folder / folder).mkdir()
        cutter = Cutter(writer, rule, class_names=names)
        for number in range(coils):
            shape = (PATCHES_HIGH * patch, PATCHES_WIDE * patch)
            for photograph in photograph_coil(number, photographs=photographs_per_coil, shape=shape, seed=seed):
                Image.fromarray(photograph.pixels).save(writer.folder / "photographs" / f"{photograph.name}.png")
                _coloured(photograph.mask).save(writer.folder / "masks" / f"{photograph.name}.png")
                cutter.add(
                    photograph.name,
                    photograph.pixels,
                    photograph.mask,
                    metadata={
                        "group_id": photograph.coil,
                        "line": photograph.line,
                        "captured_at": photograph.captured_at.isoformat(timespec="seconds"),
                    },
                )
            if progress:
                progress(number + 1, coils)
    return cutter.summary(out)


def photograph_coil(number: int, *, photographs: int, shape: tuple[int, int], seed: int) -> Iterator[Photograph]:
    """Yield the photographs of one coil; the same number, shape and seed give the same ones.

    Args:
        number: of the coil, from 0; odd and even ones run on different lines.
        photographs: how many.
        shape: (height, width), pixels.
        seed: of the sample.
    """
    line = LINES[number % len(LINES)]
    finish = line.finishes[number // len(LINES) % len(line.finishes)]
    rng = np.random.default_rng([seed, number])
    coil = new_coil(rng, finish)
    name = f"coil{number + 1:03d}"
    started = _FIRST_COIL + timedelta(hours=7 * number, minutes=int(rng.integers(0, 120)))
    for index in range(photographs):
        own = np.random.default_rng([seed, number, index])
        pixels, mask = _photograph(own, coil, line.camera, shape, place=index / max(photographs - 1, 1))
        yield Photograph(
            f"{name}_{index + 1:02d}", name, line.name, started + timedelta(seconds=9 * index), pixels, mask
        )


def _photograph(
    rng: np.random.Generator, coil: Coil, camera: Camera, shape: tuple[int, int], *, place: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one photograph and its mask, at a place between the coil's head (0) and tail (1)."""
    strip = camera.strip_shape(shape)
    surface = bare_surface(rng, coil, strip)
    for _ in range(rng.poisson(MARKS_PER_PHOTOGRAPH)):
        surface += MARKS[rng.integers(len(MARKS))](rng, strip)
    mask = np.zeros(strip, dtype=np.uint8)
    area = shape[0] * shape[1] / (PATCHES_HIGH * PATCHES_WIDE * 64**2)
    for _ in range(rng.poisson(DEFECTS_PER_PHOTOGRAPH * area)):
        number = int(rng.integers(len(DEFECTS)))
        defect = DEFECTS[number][1](rng, strip, coil.grain)
        surface += defect.change
        mask[defect.mask] = number + 1
    pixels = camera.expose(
        rng, camera.to_image(surface), grey=coil.grey * float(np.exp(coil.drift * place)), flicker=0.03
    )
    return pixels, camera.to_image(mask)


def _coloured(mask: np.ndarray) -> Image.Image:
    """Return a mask as a palette image: its values are the numbers of the defects, its colours are for viewing."""
    image = Image.fromarray(mask, mode="P")
    image.putpalette([channel for colour in _COLOURS for channel in colour])
    return image
