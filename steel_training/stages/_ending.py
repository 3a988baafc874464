"""Finishes a run early: writes the report and records the verdict."""

from __future__ import annotations

from steel_training.report import write_report
from steel_training.runs.lineage import facts
from steel_training.runs.result import StageResult, Status
from steel_training.runs.run import Run


def conclude_if_ended(run: Run, result: StageResult) -> StageResult:
    """Return the result; if it blocks the run or refuses its model, report and verdict are written first."""
    if result.status in (Status.BLOCKED, Status.REFUSED) and (verdict := result.verdict) is not None:
        write_report(run, verdict, result.reasons, None)
        run.registry.record(run.run_id, verdict, result.reasons, facts(run, None))
    return result
