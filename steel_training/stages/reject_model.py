"""Ends a run whose model is rejected: the champion stays."""

from __future__ import annotations

from pathlib import Path

from steel_training.errors import SteelTrainingError
from steel_training.report import write_report
from steel_training.report.remedies import advice_for
from steel_training.runs.lineage import facts
from steel_training.runs.outputs import Decided, Ended
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run
from steel_training.stages.approve_release import released
from steel_training.verdict import Verdict


def reject_model(run: Run) -> StageResult:
    """Record the rejection; the champion stays."""
    decided, release = run.result("decide"), released(run)
    if release.publish:
        raise SteelTrainingError(f"Run {run.run_id} is to be published; run publish_model instead of reject_model.")

    def work(_: Path) -> StageResult:
        advice = advice_for(write_report(run, Verdict.REJECTED, release.reasons, None))
        run.registry.record(run.run_id, Verdict.REJECTED, release.reasons, facts(run, None))
        champion = Decided.from_dict(decided.outputs).champion
        ended = Ended(Verdict.REJECTED, None, champion, champion, advice)
        return StageResult("reject_model", reasons=release.reasons, outputs=ended.to_dict())

    return run.perform("reject_model", run.after(release.stage), work)
