"""One pass of the pipeline: its folder in the store, one subfolder and one `result.json` a stage.

A stage works in a scratch folder and is committed in one step, `result.json` last: whoever sees a result sees a whole
stage. Every result carries `inputs`, a hash over what went into it (stage, configuration, dataset, code, and the
results of the stages before); a stage that finds its own result with the same hash returns it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from steel_training.errors import SteelTrainingError, UsageError
from steel_training.storage import ObjectNotFound, Storage, schema
from steel_training.verdict import Reason, Verdict

log = logging.getLogger(__name__)

RESULT = "result.json"
RUNS = "runs"
REPORT = "report.html"

STAGES = (
    "resolve_dataset",
    "profile_patches",
    "validate_patches",
    "check_baseline",
    "train_head",
    "fine_tune",
    "evaluate",
    "verify_bundle",
    "decide",
    "approve_release",
    "publish_model",
    "reject_model",
)
"""In order. `approve_release` is done where a person must release the model; of the last two a run does one."""

FIRST = STAGES[0]
"""The stage that says what a run is made from; asked for something else, the run begins anew."""

_FIELDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("stage", "status", "inputs", "finished_at"), str),
    "reasons": list,
    "outputs": dict,
    "seconds": (int, float),
}
_LIKE_HASHED = re.compile(r"-[0-9a-f]{8}\Z")
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class StageNotDone(UsageError):
    """A stage was asked for before the one it builds on."""


class ResultUnreadable(SteelTrainingError):
    """What lies where a stage's result should is none."""


class Status(StrEnum):
    """How a stage ended: the line goes on, stops here (the data, or the model, is refused), or has nothing to do."""

    DONE = "done"
    BLOCKED = "blocked"
    REFUSED = "refused"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class StageResult:
    """What a stage leaves for the next ones: small JSON, the rest are files in its folder."""

    stage: str
    status: Status = Status.DONE
    reasons: tuple[Reason, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    inputs: str = ""
    seconds: float = 0.0
    finished_at: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that the run ends with here; `None` where it goes on."""
        if self.status is Status.DONE:
            found = self.outputs.get("verdict")
            return Verdict(found) if found is not None else None
        return {
            Status.BLOCKED: Verdict.BLOCKED,
            Status.REFUSED: Verdict.REJECTED,
            Status.UNCHANGED: Verdict.UNCHANGED,
        }[self.status]

    def as_dict(self) -> dict[str, Any]:
        """Returns the content of `result.json`."""
        return {
            schema.KEY: schema.SCHEMA,
            "stage": self.stage,
            "status": str(self.status),
            "reasons": [reason.as_dict() for reason in self.reasons],
            "outputs": dict(self.outputs),
            "inputs": self.inputs,
            "seconds": self.seconds,
            "finished_at": self.finished_at,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StageResult:
        """Reads `result.json` back.

        Raises:
            WrittenByNewer: a later version of this program wrote it.
            TypeError: a value of it is missing, or of another kind than is written.
            ValueError: its status is none.
        """
        if not isinstance(values, Mapping):
            raise TypeError(f"it holds a {type(values).__name__}; expected an object")
        schema.readable(values, f"The result of {values.get('stage')}")
        for name, kind in _FIELDS.items():
            if not isinstance(values.get(name), kind):
                raise TypeError(f"its {name} is {values.get(name)!r:.80}")
        return cls(
            stage=values["stage"],
            status=Status(values["status"]),
            reasons=tuple(Reason.from_dict(reason) for reason in values["reasons"]),
            outputs=values["outputs"],
            inputs=values["inputs"],
            seconds=values["seconds"],
            finished_at=values["finished_at"],
        )


def safe_run_id(text: str) -> str:
    """Turns any run id, such as Airflow's `manual__2026-11-24T00:10:00+00:00`, into a folder name.

    Ids that are folder names already stay as they are, so that the folder of a run is an id of it too; others keep their
    readable part and get a hash. See `folder_of` for ids that somebody else chooses.
    """
    return text if _SAFE.fullmatch(text) else _hashed(text)


def folder_of(run_id: str) -> str:
    """Turns the id that a scheduler gave a run into a folder name that no other id gets.

    As `safe_run_id`; but an id that looks like the folder of another, with a hash at its end, gets a hash of its own.
    """
    return _hashed(run_id) if _LIKE_HASHED.search(run_id) else safe_run_id(run_id)


def _hashed(text: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:150] or "run"
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def digest_of(stage: str, inputs: Mapping[str, Any]) -> str:
    """Hashes a stage's name and inputs (JSON values): what a result, or a part of one, is known by."""
    return hashlib.sha256(json.dumps([stage, inputs], sort_keys=True).encode()).hexdigest()


class Run:
    """A run's folder in the store."""

    def __init__(self, store: Storage, run_id: str) -> None:
        if not _SAFE.fullmatch(run_id):
            raise UsageError(f"The run id {run_id!r} is no folder name; use letters, digits, '.', '_' and '-'.")
        self.store = store
        self.run_id = run_id

    def key(self, *parts: str) -> str:
        """Returns the store's key of something in this run."""
        return "/".join((RUNS, self.run_id, *parts))

    def find_result(self, stage: str) -> StageResult | None:
        """Returns the stage's result, or `None` where it has not finished; one that is torn counts as none, and is logged."""
        try:
            return self.read_result(stage)
        except ResultUnreadable as error:
            log.warning("%s The stage counts as not finished.", error)
            return None

    def read_result(self, stage: str) -> StageResult | None:
        """Returns the stage's result, or `None` where there is none.

        Raises:
            ResultUnreadable: what lies there is none.
            WrittenByNewer: a later version of this program wrote it.
        """
        key = self.key(stage, RESULT)
        try:
            return StageResult.from_dict(self.store.read_json(key))
        except ObjectNotFound:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ResultUnreadable(f"{self.store.location(key)} is damaged ({error}).") from error

    def result(self, stage: str) -> StageResult:
        """Returns the stage's result.

        Raises:
            StageNotDone: it has not finished in this run.
        """
        found = self.find_result(stage)
        if found is None:
            raise StageNotDone(
                f"Run {self.run_id} has no finished stage '{stage}' in {self.store.uri}. "
                f"Do it first: steel-training {stage} --run-id {self.run_id} --store {self.store.uri}"
            )
        return found

    def after(self, stage: str) -> dict[str, Any]:
        """Returns what a stage's inputs are when it builds on another one: that stage's result.

        Raises:
            StageNotDone: it has not finished.
            SteelTrainingError: the run ended there.
        """
        before = self.result(stage)
        if before.status is not Status.DONE:
            reasons = "; ".join(f"{reason.code}: {reason.message}" for reason in before.reasons)
            raise SteelTrainingError(f"Run {self.run_id} ended at {stage} ({before.status}): {reasons}")
        return {"after": stage, "result": before.inputs, "finished_at": before.finished_at}

    def clear(self) -> None:
        """Removes all that the run made."""
        self.store.remove_folder(self.key(), first=f"{FIRST}/{RESULT}")

    def folder(self, stage: str) -> AbstractContextManager[Path]:
        """Gives the finished stage's files as a local folder, read only."""
        return self.store.local_folder(self.key(stage))

    def perform(
        self,
        stage: str,
        inputs: Mapping[str, Any],
        work: Callable[[Path], StageResult],
    ) -> StageResult:
        """Does a stage's work, or returns its result where the same inputs gave one already.

        Args:
            stage: its name.
            inputs: everything that the result depends on, as JSON values.
            work: gets an empty scratch folder; what it leaves there is committed with the result.
        """
        digest = digest_of(stage, inputs)
        found = self.find_done(stage, inputs)
        if found is not None:
            return found
        if stage == FIRST:
            self.clear()  # what was made from other data would stand beside what is made now
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"steel-training-{stage}-") as scratch:
            made = work(Path(scratch))
            result = StageResult(
                stage=stage,
                status=made.status,
                reasons=made.reasons,
                outputs=made.outputs,
                inputs=digest,
                seconds=round(time.monotonic() - started, 2),
                finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            try:
                text = json.dumps(result.as_dict(), indent=2, sort_keys=True, allow_nan=False)
            except ValueError as error:
                raise SteelTrainingError(f"Stage {stage} made a result that is not finite: {error}") from error
            Path(scratch, RESULT).write_text(text, encoding="utf-8")
            self.store.put_folder(Path(scratch), self.key(stage), last=RESULT)
        return result

    def find_done(self, stage: str, inputs: Mapping[str, Any]) -> StageResult | None:
        """Returns the stage's result where it was made from the same inputs, or `None`."""
        found = self.find_result(stage)
        return found if found is not None and found.inputs == digest_of(stage, inputs) else None
