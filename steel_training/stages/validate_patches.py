"""Validates the dataset against its contract."""

from __future__ import annotations

from pathlib import Path

from steel_training.runs.artifacts import PROFILE, table_of
from steel_training.runs.result import StageResult, Status
from steel_training.runs.run import Run
from steel_training.stages._champion_data import drift_from_champion
from steel_training.stages._ending import conclude_if_ended
from steel_training.stages._evidence import reader_of, split_alarms, write_evidence
from steel_training.validation.validate import validate_patches as validate


def validate_patches(run: Run) -> StageResult:
    """Validate the dataset with Great Expectations; a critical expectation blocks."""

    def work(folder: Path) -> StageResult:
        profile = table_of(run, "profile_patches", PROFILE)
        drift = drift_from_champion(run.registry, run.resolved.champion, profile)
        outcome = validate(
            profile, run.config.validation, folder=folder, split_problem=run.resolved.split_problem, drift=drift
        )
        outputs: dict[str, object] = {**outcome.as_dict(), "drift": drift.as_dict()}
        reasons = outcome.reasons
        storage = run.dataset
        alarms = split_alarms(outcome, profile, storage.uri)
        if alarms:
            outputs["probes"] = [probe.as_dict() for probe in alarms]
            write_evidence(folder, alarms, profile, reader_of(storage, profile))
            named = {probe.code: probe.reason for probe in alarms}
            reasons = tuple(named.get(reason.code, reason) for reason in reasons)
        return StageResult(
            "validate_patches", Status.DONE if outcome.success else Status.BLOCKED, tuple(reasons), outputs
        )

    return conclude_if_ended(run, run.perform("validate_patches", run.inputs_of("validate_patches"), work))
