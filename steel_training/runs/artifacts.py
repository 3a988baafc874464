"""The files that stages write to a run, and how later stages read them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from steel_training.data.patches import PatchSet
from steel_training.data.splits import SPLITS
from steel_training.runs.result import digest_of
from steel_training.runs.run import UNFINISHED, Run
from steel_training.storage.json_types import Json
from steel_training.training.unfinished import Unfinished

PATCHES, PROFILE, SCORES = "patches.parquet", "profile.parquet", "scores.parquet"
KEYPOINTS = "anchors.parquet"
"""Beside the profile, one row per patch: keypoints for the leak probes, too large for the profile itself."""
BASELINE, MODEL, BUNDLE = "baseline.keras", "model.keras", "bundle"
LABELS = "labels.parquet"
"""One row per patch, worst label first, with the columns of `labels.audit.LabelAudit`."""


def unfinished_of(run: Run, stage: str, inputs: Mapping[str, Json]) -> Unfinished:
    """Return where the state of an unfinished training is kept; with the same inputs it is continued."""
    return Unfinished(run.store, run.key(UNFINISHED, stage), digest_of(stage, inputs))


def table_of(run: Run, stage: str, name: str) -> pd.DataFrame:
    """Read a table (Parquet) that a stage wrote."""
    with run.folder(stage) as folder:
        return pd.read_parquet(folder / name)


def groups_in(run: Run, split: str) -> np.ndarray:
    """Return the group of every patch of a split, strings (n,), in the order of `patch_sets`."""
    patches = table_of(run, "resolve_dataset", PATCHES)
    return patches.loc[patches["part"] == split, "group"].to_numpy(str)


def patch_sets(run: Run) -> dict[str, PatchSet]:
    """Return the patches of train, val and test."""
    patches, fingerprint = table_of(run, "resolve_dataset", PATCHES), run.resolved.fingerprint
    return {
        split: PatchSet(run.dataset, tuple(rows["path"]), rows["label"].to_numpy(int), fingerprint)
        for split in SPLITS
        for rows in [patches[patches["part"] == split]]
    }
