"""Makes the record of patches to review from a manifest, the table of an audit, and the neighbours that the audit found."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from steel_training.labels.audit import SUSPECT
from steel_training.labels.neighbours import Nearest
from steel_training.labels.review.sheet import Neighbour, Sheet, SheetPatch
from steel_training.labels.review.surroundings import Surroundings
from steel_training.storage import Storage

MOST_SUSPECTS, CONTROLS = 10_000, 2_000
"""Patches in the record of a run, whose size is bounded: the worst, and others drawn at random for a blind review."""


def all_patches(manifest: pd.DataFrame, table: pd.DataFrame) -> list[SheetPatch]:
    """Return every patch of an audit, worst first, with what the audit says of it.

    Args:
        manifest: of the dataset.
        table: of the audit: `patch_id`, `label`, `split`; and `suggested`, `quality` and `score`, unless there was none.
    """
    paths = dict(zip(manifest["patch_id"].astype(str), manifest["path"].astype(str), strict=True))
    found = []
    for row in table.to_dict("records"):
        audited = "quality" in row
        found.append(
            SheetPatch(
                patch_id=str(row["patch_id"]),
                path=paths[str(row["patch_id"])],
                label=int(row["label"]),
                split="" if pd.isna(row["split"]) else str(row["split"]),
                suspect=audited and float(row["quality"]) < SUSPECT,
                suggested=int(row["suggested"]) if audited else None,
                quality=round(float(row["quality"]), 4) if audited else None,
                score=round(float(row["score"]), 4) if audited else None,
            )
        )
    return found


def with_pictures(
    patches: Sequence[SheetPatch], manifest: pd.DataFrame, size: tuple[int, int], nearest: Mapping[str, Nearest]
) -> list[SheetPatch]:
    """Return patches with their surroundings and neighbours.

    Args:
        patches: to show.
        manifest: of the dataset.
        size: width and height of a patch in pixels.
        nearest: neighbours by patch; a patch without any has none.
    """
    names = manifest["patch_id"].astype(str)
    paths = dict(zip(names, manifest["path"].astype(str), strict=True))
    rows = {name: row for row, name in enumerate(names)}
    surroundings = Surroundings(manifest, *size)

    def named(found: Sequence[str]) -> tuple[Neighbour, ...]:
        return tuple(Neighbour(each, paths[each]) for each in found if each in paths)

    none = Nearest((), ())
    return [
        replace(
            patch,
            around=surroundings.of(rows[patch.patch_id]),
            clean=named(nearest.get(patch.patch_id, none).clean),
            defective=named(nearest.get(patch.patch_id, none).defective),
        )
        for patch in patches
    ]


def sheet_of(storage: Storage, manifest: str, fingerprint: str, patches: Sequence[SheetPatch]) -> Sheet:
    """Return the record of some patches.

    Args:
        storage: of the dataset version.
        manifest: name of its manifest file.
        fingerprint: of the version.
        patches: to review.
    """
    digest = hashlib.md5(storage.read(manifest), usedforsecurity=False).hexdigest()
    return Sheet(storage.uri, fingerprint, manifest, digest, tuple(patches))


def kept_for_review(patches: Sequence[SheetPatch], seed: int) -> list[SheetPatch]:
    """Return the suspects, and others drawn at random, in the order of `patches`: what a run keeps for the page."""
    suspects = [patch.patch_id for patch in patches if patch.suspect][:MOST_SUSPECTS]
    others = [patch.patch_id for patch in patches if not patch.suspect]
    drawing = random.Random(seed)  # noqa: S311 - a sample, no secret
    kept = {*suspects, *drawing.sample(others, min(CONTROLS, len(others)))}
    return [patch for patch in patches if patch.patch_id in kept]


def commonest_size(widths: np.ndarray, heights: np.ndarray) -> tuple[int, int]:
    """Return the width and height that most patches have, from ints (n,) each."""
    sizes, counts = np.unique(np.stack([widths, heights], axis=1), axis=0, return_counts=True)
    width, height = sizes[np.argmax(counts)]
    return int(width), int(height)
