"""How a stage ends a run before its time: the report is written and the verdict recorded."""

from __future__ import annotations

from steel_training.lineage import facts
from steel_training.records import registry_of
from steel_training.report import write_report
from steel_training.run import Run, StageResult, Status
from steel_training.verdict import Verdict


def may_block(run: Run, result: StageResult) -> StageResult:
    """Returns the result; where it blocks, after report and record were left."""
    if result.status is Status.BLOCKED:
        write_report(run, Verdict.BLOCKED, result.reasons, None)
        registry_of(run).record(run.run_id, Verdict.BLOCKED, result.reasons, facts(run, None))
    return result
