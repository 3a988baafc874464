"""Ends a run whose model is accepted: an immutable version, and the champion pointer."""

from __future__ import annotations

import shutil
from pathlib import Path

from steel_training.errors import SteelTrainingError
from steel_training.registry import ChampionMoved
from steel_training.report import write_report
from steel_training.runs.artifacts import BUNDLE
from steel_training.runs.lineage import facts, write_lineage
from steel_training.runs.outputs import Decided, Ended
from steel_training.runs.result import REPORT, StageResult
from steel_training.runs.run import Run
from steel_training.stages.approve_release import released
from steel_training.storage.scratch import scratch_folder
from steel_training.verdict import CHAMPION_MOVED, NOT_PROMOTED, Reason, Verdict

_NOT_PROMOTED = "The version is registered, but its run ended before it became champion. Continue run {} to do so, or promote the version."


def publish_model(run: Run) -> StageResult:
    """Registers the bundle as an immutable version and, if configured, moves the champion pointer."""
    decided, release = run.result("decide"), released(run)
    if not release.publish:
        raise SteelTrainingError(f"Run {run.run_id} is not to be published; run reject_model instead of publish_model.")

    def work(_: Path) -> StageResult:
        registry, version, config = run.registry, run.version, run.config
        champion = Decided.from_dict(decided.outputs).champion
        write_report(run, Verdict.PUBLISHED, decided.reasons, version)
        with run.folder("evaluate") as evaluated:
            made = scratch_folder() / "publishing" / f"{run.run_id}-{version}"
            shutil.rmtree(made, ignore_errors=True)
            try:
                shutil.copytree(evaluated / BUNDLE, made)
                (made / REPORT).write_bytes(run.store.read(run.key(REPORT)))
                write_lineage(run, made, decided)
                registry.publish(made, version)
            finally:
                shutil.rmtree(made, ignore_errors=True)
        if config.publish.promote:
            # The record comes first: if this run is interrupted now, the record says why the version is not the champion.
            _record(run, version, Reason(NOT_PROMOTED, _NOT_PROMOTED.format(run.run_id)), *decided.reasons)
            try:
                registry.promote(version, expected=champion)
            except ChampionMoved as moved:
                _record(run, version, Reason(CHAMPION_MOVED, str(moved)), *decided.reasons)
                raise
        _record(run, version, *decided.reasons)
        ended = Ended(Verdict.PUBLISHED, version, version if config.publish.promote else champion, champion)
        return StageResult("publish_model", reasons=decided.reasons, outputs=ended.to_dict())

    return run.perform("publish_model", run.after(release.stage), work)


def _record(run: Run, version: str, *reasons: Reason) -> None:
    run.registry.record(run.run_id, Verdict.PUBLISHED, reasons, facts(run, version))
