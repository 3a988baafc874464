"""The result of a stage in the store: names, status and `result.json`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from steel_training.storage import schema
from steel_training.storage.declared import Declared, type_problem
from steel_training.storage.json_types import Json
from steel_training.storage.recorded import Recorded
from steel_training.storage.stored_reason import StoredReason
from steel_training.verdict import Reason, Verdict

RESULT = "result.json"


RUNS = "runs"


REPORT = "report.html"


STAGES = (
    "resolve_dataset",
    "profile_patches",
    "validate_patches",
    "check_baseline",
    "audit_labels",
    "train_head",
    "fine_tune",
    "evaluate",
    "verify_bundle",
    "decide",
    "approve_release",
    "publish_model",
    "reject_model",
)
"""In order. `approve_release` is run where a person must release the model; of the last two a run runs one."""


FOLLOWS = {
    "profile_patches": "resolve_dataset",
    "validate_patches": "profile_patches",
    "check_baseline": "validate_patches",
    "audit_labels": "check_baseline",
    "train_head": "check_baseline",
    "fine_tune": "train_head",
    "verify_bundle": "evaluate",
    "decide": "verify_bundle",
}
"""Stages whose only input is the result of one earlier stage, with that stage. `evaluate` depends on the champion too, and the
last stages on who released the model."""


FIRST = STAGES[0]
"""The stage that fixes the inputs of a run; with other inputs, the run starts again."""


_LIKE_HASHED = re.compile(r"-[0-9a-f]{8}\Z")
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class Status(StrEnum):
    """How a stage ended: the run continues, stops here (the data or the model is refused), or has nothing to do."""

    DONE = "done"
    BLOCKED = "blocked"
    REFUSED = "refused"
    UNCHANGED = "unchanged"


class _Stored(Declared):
    stage: str
    status: str
    reasons: list[StoredReason]
    outputs: dict[str, Any]
    inputs: str
    seconds: float
    finished_at: str
    files: str = ""


_ENDS = {
    Status.BLOCKED: Verdict.BLOCKED,
    Status.REFUSED: Verdict.REJECTED,
    Status.UNCHANGED: Verdict.UNCHANGED,
}


@dataclass(frozen=True)
class StageResult:
    """The result of a stage for later ones: small JSON, beside files in its folder.

    `files` is the hash by which these are recognised (`stage_files.record_files`); earlier versions wrote none.
    """

    stage: str
    status: Status = Status.DONE
    reasons: tuple[Reason, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    inputs: str = ""
    seconds: float = 0.0
    finished_at: str = ""
    files: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that the run ends with here; `None` where it continues."""
        return verdict_of(self.status, self.outputs)

    def as_dict(self) -> dict[str, Json]:
        """Return the content of `result.json`."""
        return {
            schema.KEY: schema.SCHEMA,
            "stage": self.stage,
            "status": str(self.status),
            "reasons": [reason.as_dict() for reason in self.reasons],
            "outputs": dict(self.outputs),
            "inputs": self.inputs,
            "seconds": self.seconds,
            "finished_at": self.finished_at,
            "files": self.files,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], name: str) -> StageResult:
        """Read `result.json` back. Outputs that it lacks are an error when they are read (`ValueMissing`).

        Args:
            values: its content.
            name: what messages call it, with its location.

        Raises:
            WrittenByNewer: a later version of this program wrote it.
            TypeError: a value is missing or has the wrong type.
            ValueError: its status is unknown.
        """
        schema.readable(values, name)
        if (problem := type_problem(_Stored, values)) is not None:
            raise TypeError(problem)
        return cls(
            stage=values["stage"],
            status=Status(values["status"]),
            reasons=tuple(Reason.from_dict(reason) for reason in values["reasons"]),
            outputs=Recorded(values["outputs"], name),
            inputs=values["inputs"],
            seconds=values["seconds"],
            finished_at=values["finished_at"],
            files=values.get("files", ""),
        )


def safe_run_id(text: str) -> str:
    """Turn any run id, such as Airflow's `manual__2026-11-24T00:10:00+00:00`, into a folder name.

    Ids that are valid folder names are not changed, so that the folder of a run is an id of it too; others keep their
    readable characters and get a hash. See `folder_of` for ids of a scheduler.
    """
    return text if SAFE_ID.fullmatch(text) else _hashed(text)


def folder_of(run_id: str) -> str:
    """Turn the id that a scheduler gave a run into a folder name that no other id gets.

    As `safe_run_id`; but an id that looks like the folder of another, with a hash at its end, gets a hash of its own.
    """
    return _hashed(run_id) if _LIKE_HASHED.search(run_id) else safe_run_id(run_id)


def _hashed(text: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:150] or "run"
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def digest_of(stage: str, inputs: Mapping[str, Json]) -> str:
    """Hash a stage's name and inputs (JSON values): the key of a result, or of a part of one."""
    return hashlib.sha256(json.dumps([stage, inputs], sort_keys=True).encode()).hexdigest()


def verdict_of(status: str | None, outputs: Mapping[str, Any]) -> Verdict | None:
    """Return the verdict with which a stage ends the run; `None` where the run continues.

    Args:
        status: of the stage, also as text from a result file; `None` where the stage left no result.
        outputs: of the stage; those of a stage that decides have a `verdict`.
    """
    if status in _ENDS:
        return _ENDS[Status(status)]
    found = outputs.get("verdict")
    return Verdict(found) if found is not None else None
