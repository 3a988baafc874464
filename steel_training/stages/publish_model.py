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
from steel_training.verdict import CHAMPION_MOVED, NOT_PROMOTED, OVERTAKEN, Reason, Verdict

_NOT_PROMOTED = "The version is registered, but its run ended before it became champion. Continue run {} to do so, or promote the version."


def publish_model(run: Run) -> StageResult:
    """Register the bundle as an immutable version and, if configured, move the champion pointer.

    A run that was interrupted on the way continues where it stopped: what is published stays as it is, and a version that has become
    champion is not promoted again, whatever became champion since.
    """
    decided, release = run.result("decide"), released(run)
    if not release.publish:
        raise SteelTrainingError(f"Run {run.run_id} is not to be published; run reject_model instead of publish_model.")

    def work(_: Path) -> StageResult:
        registry, version, config = run.registry, run.version, run.config
        champion = Decided.from_dict(decided.outputs).champion
        if not registry.holds(version):
            _publish(run, version, decided)
        if config.publish.promote and not _concluded(run, version):
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


def _publish(run: Run, version: str, decided: StageResult) -> None:
    write_report(run, Verdict.PUBLISHED, decided.reasons, version)
    with run.folder("evaluate") as evaluated:
        made = scratch_folder() / "publishing" / f"{run.run_id}-{version}"
        shutil.rmtree(made, ignore_errors=True)
        try:
            shutil.copytree(evaluated / BUNDLE, made)
            (made / REPORT).write_bytes(run.store.read(run.key(REPORT)))
            write_lineage(run, made, decided)
            run.registry.publish(made, version)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _concluded(run: Run, version: str) -> bool:
    """Return whether the run's record says that its version was promoted."""
    record = run.registry.decision(run.run_id)
    if record is None or record.get("version") != version:
        return False
    return all(reason["code"] not in OVERTAKEN for reason in record.get("reasons", ()))


def _record(run: Run, version: str, *reasons: Reason) -> None:
    run.registry.record(run.run_id, Verdict.PUBLISHED, reasons, facts(run, version))
