"""The stages of a run, one file each, named like the tasks of the DAG.

A stage reads the results of earlier stages from the run, and writes its own. The order is that of `STAGES`. Files that
begin with an underscore are shared helpers. A stage is imported when it has work to do, so that only its own imports are loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from steel_training.runs.result import STAGES, StageResult
from steel_training.runs.run import Run


def perform(stage: str, run: Run, *request: Any) -> StageResult:
    """Run one stage.

    Args:
        stage: one of `STAGES`.
        run: the run.
        request: further argument of `resolve_dataset` (`Request`) and `approve_release` (`Answer`).

    Returns:
        The stage's result, new or from an earlier run of the stage.
    """
    if stage not in STAGES:
        raise ValueError(f"There is no stage {stage!r}; expected one of {', '.join(STAGES)}.")
    if (passed := run.find_passed(stage)) is not None:
        return passed
    result: StageResult = getattr(import_module(f"{__name__}.{stage}"), stage)(run, *request)
    return result
