"""The labels to look at first, as files beside the result of the audit: the patch, and the patch with its contrast stretched."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from steel_training.data.images import as_png
from steel_training.data.splits import TEST
from steel_training.storage.declared import read_declared

FOLDER, INDEX = "suspects", "index.json"
SUSPECTS_SHOWN = 24

Pixels = Callable[[int], np.ndarray]
"""Returns the grey values of the patch in a row of the audit's input, uint8 (height, width)."""

_DARKEST, _BRIGHTEST = 1, 99


@dataclass(frozen=True)
class Suspect:
    """One label to look at; the fields are the keys of `index.json`.

    Attributes:
        patch_id: of the manifest.
        label: as given.
        suggested: the more likely one.
        quality: probability that the label is right.
        score: out of fold.
        group: coil, tile or source image.
        split: of the patch.
        neighbours: share of its nearest patches with the other label; None if it has none.
        copy: whether an identical patch contradicts the label.
        patch: PNG file in the folder.
        stretched: PNG file of the same patch, contrast stretched.
    """

    patch_id: str
    label: int
    suggested: int
    quality: float
    score: float
    group: str
    split: str
    neighbours: float | None
    copy: bool
    patch: str
    stretched: str


def write_suspect_images(folder: Path, suspects: pd.DataFrame, pixels: Pixels) -> None:
    """Write `suspects/` with pictures of the worst labels outside the test split.

    A person who has seen label and score of a test patch can no longer read it blind, so that none is shown.

    Args:
        folder: of the stage.
        suspects: of `LabelAudit`, worst first.
        pixels: reads a patch.
    """
    shown = suspects[suspects["split"] != TEST].head(SUSPECTS_SHOWN)
    if shown.empty:
        return
    made = folder / FOLDER
    made.mkdir()
    index: list[Suspect] = []
    for number, row in enumerate(shown.to_dict("records")):
        image = pixels(int(row["row"]))
        names = (f"{number:03d}.png", f"{number:03d}-stretched.png")
        for name, picture in zip(names, (image, stretched(image)), strict=True):
            (made / name).write_bytes(as_png(picture))
        index.append(
            Suspect(
                patch_id=str(row["patch_id"]),
                label=int(row["label"]),
                suggested=int(row["suggested"]),
                quality=float(row["quality"]),
                score=float(row["score"]),
                group=str(row["group"]),
                split=str(row["split"]),
                neighbours=None if np.isnan(row["neighbours"]) else float(row["neighbours"]),
                copy=bool(row["copy"]),
                patch=names[0],
                stretched=names[1],
            )
        )
    (made / INDEX).write_text(json.dumps([asdict(each) for each in index]), encoding="utf-8")


def read_suspects(folder: Path) -> list[Suspect]:
    """Return what `write_suspect_images` wrote to the folder of the stage; empty if it wrote nothing."""
    path = folder / FOLDER / INDEX
    if not path.is_file():
        return []
    return read_declared(path, list[Suspect])


def stretched(image: np.ndarray) -> np.ndarray:
    """Return grey values uint8 (height, width) with percentiles 1 and 99 moved to 0 and 255: faint defects are seen so."""
    dark, bright = np.percentile(image, [_DARKEST, _BRIGHTEST])
    scaled = (image.astype(np.float32) - dark) * (255 / max(bright - dark, 1.0))
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)
