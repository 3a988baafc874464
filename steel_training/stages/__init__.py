"""The stages of a run, one file each, named as the DAG names its tasks.

A stage reads what earlier stages left in the run, does its work, and leaves its own. The order is that of `STAGES`. Files that
begin with an underscore are shared by stages. A stage is imported when it is done, so that each pays only for what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from steel_training.runs.result import STAGES, StageResult
from steel_training.runs.run import Run


def perform(stage: str, run: Run, *request: Any) -> StageResult:
    """Does one stage of a run.

    Args:
        stage: one of `STAGES`.
        run: the run.
        request: what `resolve_dataset` (`Request`) and `approve_release` (`Answer`) need beside the run.

    Returns:
        The stage's result, found or made.
    """
    if stage not in STAGES:
        raise ValueError(f"There is no stage {stage!r}; expected one of {', '.join(STAGES)}.")
    result: StageResult = getattr(import_module(f"{__name__}.{stage}"), stage)(run, *request)
    return result
