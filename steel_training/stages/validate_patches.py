"""Holds the dataset to its contract."""

from __future__ import annotations

from pathlib import Path

from steel_training.runs.artifacts import PROFILE, table_of
from steel_training.runs.result import StageResult, Status
from steel_training.runs.run import Run
from steel_training.stages._champion_data import against_champion
from steel_training.stages._ending import may_end
from steel_training.stages._evidence import leave_evidence, reader_of, torn_apart
from steel_training.validation import validate_patches as validate


def validate_patches(run: Run) -> StageResult:
    """Holds the dataset to the contract with Great Expectations; a critical expectation blocks."""

    def work(folder: Path) -> StageResult:
        profile = table_of(run, "profile_patches", PROFILE)
        drift = against_champion(run.registry, run.resolved.champion, profile)
        outcome = validate(
            profile, run.config.validation, folder=folder, split_problem=run.resolved.split_problem, drift=drift
        )
        outputs: dict[str, object] = {**outcome.as_dict(), "drift": drift.as_dict()}
        reasons = outcome.reasons
        storage = run.dataset
        torn = torn_apart(outcome, profile, storage.uri)
        if torn:
            outputs["probes"] = [probe.as_dict() for probe in torn]
            leave_evidence(folder, torn, profile, reader_of(storage, profile))
            named = {probe.code: probe.reason for probe in torn}
            reasons = tuple(named.get(reason.code, reason) for reason in reasons)
        return StageResult(
            "validate_patches", Status.DONE if outcome.success else Status.BLOCKED, tuple(reasons), outputs
        )

    return may_end(run, run.perform("validate_patches", run.after("profile_patches"), work))
