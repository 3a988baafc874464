"""Which runs have labels that can be reviewed: the newest verdicts whose run was audited."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from models_page.rows import SIGNS, moment, started
from models_page.store import known_names, model_store, open_store
from steel_training.labels.review.sheet import REVIEW_SHEET
from steel_training.runs.result import RUNS, StageResult
from steel_training.runs.run import ResultUnreadable, Run

_LOOKED_AT = 30
_AT_ONCE = 8
_WITHIN_SECONDS = 5.0


class Mode(StrEnum):
    """How labels are reviewed."""

    WORST = "worst"
    BLIND = "blind"


@dataclass(frozen=True)
class ReviewableRun:
    """A run whose labels were audited.

    Attributes:
        run_id: folder of the run.
        verdict: of the run, with its sign.
        started: what started it.
        decided: when the verdict was given.
        dataset: URI of the version.
        suspects: labels more likely wrong than right.
        in_test: of these, in the test split.
        patches: that were audited.
    """

    run_id: str
    verdict: str
    started: str
    decided: str
    dataset: str
    suspects: int
    in_test: int
    patches: int


@dataclass(frozen=True)
class Reviewable:
    """Runs, newest first, and how many verdicts were looked at to find them."""

    runs: list[ReviewableRun]
    looked_at: int


def sheet_key(run_id: str) -> str:
    """Return the key of the record of patches to review."""
    return f"{RUNS}/{run_id}/audit_labels/{REVIEW_SHEET}"


def reviewable_runs() -> Reviewable:
    """Return the runs of the newest verdicts that have patches to review."""
    decisions = [
        d for name in known_names() for d in model_store(name).decisions.read(_WITHIN_SECONDS).found if d.get("run_id")
    ]
    newest = sorted(decisions, key=lambda d: str(d.get("decided_at")), reverse=True)[:_LOOKED_AT]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = [run for run in pool.map(_reviewable, newest) if run is not None]
    return Reviewable(found, len(newest))


def _reviewable(decision: Mapping[str, Any]) -> ReviewableRun | None:
    run_id = str(decision["run_id"])
    try:
        result: StageResult | None = Run(open_store(), run_id).read_result("audit_labels")
    except ResultUnreadable:
        return None
    outputs = result.outputs if result is not None else {}
    if not outputs.get("suspects") or not open_store().exists(sheet_key(run_id)):
        return None
    by_split = outputs.get("suspects_by_split") or {}
    verdict = str(decision.get("verdict"))
    return ReviewableRun(
        run_id=run_id,
        verdict=f"{SIGNS.get(verdict, '')} {verdict}",
        started=started(run_id),
        decided=moment(str(decision.get("decided_at"))),
        dataset=str(decision.get("dataset")),
        suspects=int(outputs["suspects"]),
        in_test=int(by_split.get("test", 0)),
        patches=int(outputs.get("patches", 0)),
    )
