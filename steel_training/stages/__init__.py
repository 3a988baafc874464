"""One function a stage: it reads what earlier stages left in the run, does its work, and leaves its own.

The order is that of `records.STAGES`; the DAG and `run` follow it. Heavy packages are imported where they are used, so
that a stage pays only for what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from steel_training.run import Run, StageResult
from steel_training.stages.approval import Answer, WaitsForAnswer, approve_release, released
from steel_training.stages.baseline import check_baseline
from steel_training.stages.data import Request, profile_patches, resolve, validate_patches
from steel_training.stages.judging import decide, evaluate, verify_bundle
from steel_training.stages.release import publish_model, reject_model
from steel_training.stages.training import fine_tune, train_head

LATER: Mapping[str, Callable[[Run], StageResult]] = {
    "profile_patches": profile_patches,
    "validate_patches": validate_patches,
    "check_baseline": check_baseline,
    "train_head": train_head,
    "fine_tune": fine_tune,
    "evaluate": evaluate,
    "verify_bundle": verify_bundle,
    "decide": decide,
    "publish_model": publish_model,
    "reject_model": reject_model,
}
"""Every stage after `resolve_dataset` but `approve_release`: they need nothing but the run."""

__all__ = ["LATER", "Answer", "Request", "WaitsForAnswer", "approve_release", "released", "resolve"]
