"""Replays the exported bundle in a separate process."""

from __future__ import annotations

from pathlib import Path

from steel_training.bundle.verify import verify
from steel_training.runs.artifacts import BUNDLE
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run


def verify_bundle(run: Run) -> StageResult:
    """Replay the golden samples in a clean process; the run stops where the export differs."""

    def work(_: Path) -> StageResult:
        with run.folder("evaluate") as evaluated:
            measured = verify(evaluated / BUNDLE)
        return StageResult("verify_bundle", outputs=measured)

    return run.perform("verify_bundle", run.inputs_of("verify_bundle"), work)
