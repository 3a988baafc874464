"""What `evaluate` writes beside its metrics: heat maps of the worst mistakes for the report, and the profile summary for the next run."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import keras
import pandas as pd

from steel_training.data import drift
from steel_training.data.patches import PatchSet
from steel_training.data.splits import TEST
from steel_training.runs.artifacts import BUNDLE, PATCHES, PROFILE, SCORES, table_of
from steel_training.runs.run import Run
from steel_training.training import explanations, heat_maps

log = logging.getLogger(__name__)

_MANIFEST_COLUMNS = ["patch_id", "defect_type", "source_id"]


def write_explanations(run: Run, network: keras.Model, test: PatchSet, threshold: float, folder: Path) -> None:
    """Write `attention/` and `bundle/profile_summary.json`.

    Args:
        run: the run.
        network: the scoring model.
        test: patches of the test split, in the order of `scores.parquet`.
        threshold: operating threshold on the score.
        folder: of the stage; must hold `scores.parquet` and `bundle/`.
    """
    scores = pd.read_parquet(folder / SCORES)
    manifest = table_of(run, "resolve_dataset", PATCHES)
    known = manifest[[name for name in _MANIFEST_COLUMNS if name in manifest]]
    table = scores[scores["part"] == TEST].drop(columns=_MANIFEST_COLUMNS[1:], errors="ignore")
    table = table.merge(known, on="patch_id", how="left", validate="one_to_one")
    try:
        heat_maps.keep_heat_maps(network, test, table, threshold, folder / explanations.FOLDER)
    except heat_maps.NothingToExplain as error:  # heat maps only illustrate a verdict
        log.warning("no heat maps: %s", error)
    summary = drift.summarise(table_of(run, "profile_patches", PROFILE))
    (folder / BUNDLE / drift.SUMMARY).write_text(json.dumps(summary), encoding="utf-8")
