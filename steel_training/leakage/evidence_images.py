"""Evidence of an alarm: pairs of patches to show side by side, as files beside the result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from steel_training.data.images import as_png
from steel_training.leakage.patch_pairs import Frame, Pair, Side, named_pairs, straddling_pairs
from steel_training.leakage.probe import Probe
from steel_training.leakage.typical_pairs import typical_pairs
from steel_training.storage.declared import read_declared

FOLDER, INDEX = "evidence", "index.json"
PAIRS_SHOWN = 8
# Pixels. A report embeds the images of every alarm and must be small enough to mail.
LARGEST_SIDE = 160

Pixels = Callable[[int], np.ndarray]
"""Returns the grey values of the patch in a row of the profile, uint8 (height, width)."""


@dataclass(frozen=True)
class Shown:
    """A pair as written to `index.json`; the fields are its JSON keys.

    Attributes:
        code: of the probe.
        how: what the patches have in common, or differ in.
        told: `part` or `label`: which of the two is wrong.
        sides: description of each patch.
        files: PNG of each, in the evidence folder.
        frames: the area that both show, on each patch; `None` if that is all of it, or there is none.
    """

    code: str
    how: str
    told: str
    sides: tuple[Side, Side]
    files: tuple[str, str]
    frames: tuple[Frame, Frame] | None


def write_pair_images(folder: Path, probes: Sequence[Probe], profile: pd.DataFrame, pixels: Pixels) -> None:
    """Write `evidence/` with pairs of patches for every alarm and warning that can be shown.

    Args:
        folder: of the stage.
        probes: results of the probes.
        profile: one row per patch.
        pixels: reads a patch; unreadable ones are left out.
    """
    profile = profile.reset_index(drop=True)
    made = Path(folder, FOLDER)
    index: list[Shown] = []
    for probe in probes:
        if probe.passed or not probe.judged:
            continue
        for pair in islice(_pairs(probe, profile), PAIRS_SHOWN):
            try:
                images = [pixels(side.row) for side in (pair.first, pair.second)]
            except Exception:  # noqa: S112 - validation has reported what is wrong with a file
                continue
            made.mkdir(exist_ok=True)
            names = (f"{len(index):03d}-a.png", f"{len(index):03d}-b.png")
            for name, image in zip(names, images, strict=True):
                (made / name).write_bytes(as_png(_small(image)))
            frames = pair.frames(images[0].shape[:2], images[1].shape[:2])
            index.append(Shown(probe.code, pair.how, pair.wrong, (pair.first, pair.second), names, frames))
    if index:
        (made / INDEX).write_text(json.dumps([asdict(each) for each in index]), encoding="utf-8")


def read_pair_images(folder: Path) -> list[Shown]:
    """Return the pairs that `write_pair_images` wrote to the folder of a stage; empty if there are none."""
    path = folder / FOLDER / INDEX
    if not path.is_file():
        return []
    return read_declared(path, list[Shown])


def _pairs(probe: Probe, profile: pd.DataFrame) -> Iterator[Pair]:
    if "pairs" in probe.evidence:
        yield from named_pairs(probe.evidence["pairs"], profile, probe.code)
    elif "groups" in probe.evidence:
        yield from straddling_pairs(probe.evidence["groups"], profile)
    else:
        yield from typical_pairs(probe.evidence, profile)


def _small(image: np.ndarray) -> np.ndarray:
    if max(image.shape[:2]) <= LARGEST_SIDE:
        return image
    picture = Image.fromarray(image)
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return np.asarray(picture)
