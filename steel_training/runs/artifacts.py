"""What a run holds, as its stages ask for it: the files they leave, and typed access to them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from steel_training.config import Config
from steel_training.data.patches import PatchSet
from steel_training.data.splits import SPLITS
from steel_training.registry import Registry
from steel_training.runs.run import REPORT, STAGES, Run, digest_of
from steel_training.storage import Storage, open_dataset
from steel_training.training.unfinished import Unfinished

__all__ = [
    "BASELINE",
    "BUNDLE",
    "MODEL",
    "PATCHES",
    "PROFILE",
    "REPORT",
    "SCORES",
    "STAGES",
    "config_of",
    "dataset_of",
    "groups_in",
    "patch_sets",
    "registry_of",
    "table_of",
    "unfinished_of",
    "version_of",
]

PATCHES, PROFILE, SCORES = "patches.parquet", "profile.parquet", "scores.parquet"
ANCHORS = "anchors.parquet"
"""Beside the profile, a row a patch: what the leak probes find a surface again by, too large for a table to look at."""
BASELINE, MODEL, BUNDLE = "baseline.keras", "model.keras", "bundle"
UNFINISHED = "unfinished"
"""A folder a stage, while it trains (see `resumption`)."""


def version_of(run: Run) -> str:
    """Returns the version that this run's model is registered under: the day, and a hash of what it was made from."""
    finished = run.result("resolve_dataset")
    tag = hashlib.sha256(f"{run.run_id}\0{finished.inputs}\0{finished.finished_at}".encode()).hexdigest()[:8]
    return f"{finished.finished_at[:10].replace('-', '')}-{tag}"


def config_of(run: Run) -> Config:
    """Returns the configuration that the run was asked for."""
    return Config.model_validate(run.result("resolve_dataset").outputs["config"])


def dataset_of(run: Run) -> Storage:
    """Opens the dataset version that the run uses."""
    return open_dataset(run.result("resolve_dataset").outputs["dataset"])


def unfinished_of(run: Run, stage: str, inputs: Mapping[str, Any]) -> Unfinished:
    """Returns where the training of a stage is kept until the stage is done; made from the same inputs, it goes on."""
    return Unfinished(run.store, run.key(UNFINISHED, stage), digest_of(stage, inputs))


def registry_of(run: Run) -> Registry:
    """Returns the registry that the run publishes to."""
    return Registry(run.store, config_of(run).model.name)


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
    patches, record = table_of(run, "resolve_dataset", PATCHES), run.result("resolve_dataset").outputs
    storage = open_dataset(record["dataset"])
    return {
        part: PatchSet(storage, tuple(rows["path"]), rows["label"].to_numpy(int), record["fingerprint"])
        for part in SPLITS
        for rows in [patches[patches["part"] == part]]
    }
