"""The files that stages leave in a run, and how later ones read them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from steel_training.data.patches import PatchSet
from steel_training.data.splits import SPLITS
from steel_training.runs.result import digest_of
from steel_training.runs.run import Run
from steel_training.storage.json_types import Json
from steel_training.training.unfinished import Unfinished

PATCHES, PROFILE, SCORES = "patches.parquet", "profile.parquet", "scores.parquet"
ANCHORS = "anchors.parquet"
"""Beside the profile, a row a patch: what the leak probes find a surface again by, too large for a table to look at."""
BASELINE, MODEL, BUNDLE = "baseline.keras", "model.keras", "bundle"
UNFINISHED = "unfinished"
"""A folder a stage, while it trains (see `resumption`)."""


def unfinished_of(run: Run, stage: str, inputs: Mapping[str, Json]) -> Unfinished:
    """Returns where the training of a stage is kept until the stage is done; made from the same inputs, it goes on."""
    return Unfinished(run.store, run.key(UNFINISHED, stage), digest_of(stage, inputs))


def table_of(run: Run, stage: str, name: str) -> pd.DataFrame:
    """Reads a table (Parquet) that a stage left."""
    with run.folder(stage) as folder:
        return pd.read_parquet(folder / name)


def groups_in(run: Run, part: str) -> np.ndarray:
    """Returns the group of every patch of a part, strings (n,), in the order of `patch_sets`."""
    patches = table_of(run, "resolve_dataset", PATCHES)
    return patches.loc[patches["part"] == part, "group"].to_numpy(str)


def patch_sets(run: Run) -> dict[str, PatchSet]:
    """Returns the patches of train, val and test."""
    patches, fingerprint = table_of(run, "resolve_dataset", PATCHES), run.resolved.fingerprint
    return {
        part: PatchSet(run.dataset, tuple(rows["path"]), rows["label"].to_numpy(int), fingerprint)
        for part in SPLITS
        for rows in [patches[patches["part"] == part]]
    }
