"""What `evaluate` leaves for the report beside its figures: pictures of the worst mistakes, and drift from the champion's data."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from steel_training import attention, drift
from steel_training.features import PatchSet
from steel_training.records import BUNDLE, PATCHES, PROFILE, SCORES, registry_of, table_of
from steel_training.registry import VersionDamaged, VersionNotFound
from steel_training.report.of_run import DRIFT
from steel_training.run import Run
from steel_training.splits import TEST

log = logging.getLogger(__name__)

_OF_THE_MANIFEST = ["patch_id", "defect_type", "source_id"]


def look_and_compare(
    run: Run, network: Any, test: PatchSet, threshold: float, folder: Path, champion: str | None
) -> None:
    """Writes `attention/`, `drift.json` and `bundle/profile_summary.json`.

    Args:
        run: the run.
        network: the scoring model.
        test: patches of the test part, in the order of `scores.parquet`.
        threshold: operating threshold on the score.
        folder: of the stage; `scores.parquet` and `bundle/` are there already.
        champion: version to compare with; None before the first.
    """
    scores = pd.read_parquet(folder / SCORES)
    manifest = table_of(run, "resolve_dataset", PATCHES)
    known = manifest[[name for name in _OF_THE_MANIFEST if name in manifest]]
    table = scores[scores["part"] == TEST].drop(columns=_OF_THE_MANIFEST[1:], errors="ignore")
    table = table.merge(known, on="patch_id", how="left", validate="one_to_one")
    try:
        attention.keep_attention(network, test, table, threshold, folder / attention.FOLDER)
    except attention.NothingToExplain as error:  # pictures explain a verdict; they are no part of it
        log.warning("no heat maps: %s", error)
    ours = drift.summarise(table_of(run, "profile_patches", PROFILE))
    (folder / BUNDLE / drift.SUMMARY).write_text(json.dumps(ours), encoding="utf-8")
    (folder / DRIFT).write_text(json.dumps(_against(run, champion, ours)), encoding="utf-8")


def _against(run: Run, champion: str | None, ours: dict[str, Any]) -> dict[str, Any]:
    compared: dict[str, Any] = {"champion": champion, "note": "", "properties": []}
    if champion is None:
        return {**compared, "note": "there is no champion to compare with"}
    try:
        with registry_of(run).bundle(champion) as (_, files):
            theirs = json.loads((files / drift.SUMMARY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {**compared, "note": f"champion {champion} has no profile stored"}
    except (VersionDamaged, VersionNotFound) as error:
        return {**compared, "note": f"champion {champion} cannot be read: {error}"}
    return {**compared, "properties": [found.as_dict() for found in drift.compare(theirs, ours)]}
