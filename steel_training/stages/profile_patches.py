"""Measures every patch once."""

from __future__ import annotations

from pathlib import Path

from steel_training.data.profile import profile_patches as measure
from steel_training.progress import counting
from steel_training.runs.artifacts import KEYPOINTS, PATCHES, PROFILE, table_of
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run


def profile_patches(run: Run) -> StageResult:
    """Measure every patch once: size, mode, brightness, hashes, and why it cannot be read."""

    def work(folder: Path) -> StageResult:
        patches = table_of(run, "resolve_dataset", PATCHES)
        with counting("profile_patches", len(patches)) as progress:
            profile = measure(run.dataset, patches, progress=progress)
        profile[["anchors"]].to_parquet(folder / KEYPOINTS, index=False)
        profile.drop(columns="anchors").to_parquet(folder / PROFILE, index=False)
        unreadable = int((profile["decode_error"].fillna("") != "").sum())
        return StageResult("profile_patches", outputs={"patches": len(profile), "undecodable": unreadable})

    return run.perform("profile_patches", run.inputs_of("profile_patches"), work)
