"""Runs a stage on all workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from steel_training.runs.result import StageResult
from steel_training.runs.run import LEAST_SPACE, SPACE, Run
from steel_training.storage.json_types import Json
from steel_training.storage.scratch import scratch_for
from steel_training.training import cluster
from steel_training.training.strategy import explained


def perform_together(
    run: Run, stage: str, inputs: Mapping[str, Json], work: Callable[[Path], StageResult]
) -> StageResult:
    """Run a stage on every worker; the chief commits, and the others return its result. On one machine, this is `run.perform`.

    Raises:
        WorkerLost: another worker was lost meanwhile.
    """

    def explained_work(folder: Path) -> StageResult:
        with explained():
            return work(folder)

    if cluster.is_chief():
        return run.perform(stage, inputs, explained_work)
    found = run.find_done(stage, inputs)
    if found is not None:
        return found
    with scratch_for(stage, SPACE.get(stage, LEAST_SPACE)) as scratch:
        explained_work(scratch)
    return cluster.wait_for_chief(lambda: run.find_done(stage, inputs))
