"""Checks the verdicts that a registry reads from a store: a valid record, or what is wrong with it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from steel_training.errors import SteelTrainingError
from steel_training.registry.stored import Decision
from steel_training.storage.declared import Declared, type_problem
from steel_training.storage.schema import readable
from steel_training.storage.stored_reason import StoredReason


class StoredDecision(Declared):
    """A verdict, as far as it is read."""

    run_id: str
    verdict: str
    decided_at: str
    version: str | None = None
    reasons: list[StoredReason] = Field(default_factory=list)
    metrics: dict[str, Any] = Field(default_factory=dict)
    targets: dict[str, Any] = Field(default_factory=dict)
    report: str = ""
    replaced: list[Any] = Field(default_factory=list)


class RecordRefused(SteelTrainingError):
    """A record is not a valid verdict."""


@dataclass(frozen=True)
class Unreadable:
    """A record that cannot be read.

    Attributes:
        key: of its object in the store.
        why: what is wrong with it.
    """

    key: str
    why: str


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of a registry.

    Attributes:
        found: newest first.
        unreadable: records that cannot be read.
        missing: number of records still being read; 0 without a time limit.
    """

    found: list[Decision]
    unreadable: list[Unreadable]
    missing: int = 0


def checked(record: Any, where: str = "It") -> Decision:
    """Return a verdict's record if it has the fields that are needed to show it.

    Args:
        record: as it was read.
        where: its location, for the message about a later version's.

    Raises:
        RecordRefused: it does not.
        WrittenByNewer: a later version of this program wrote it.
    """
    decision: Decision = record  # as far as the checks below find no fault
    readable(record, where)
    if (problem := type_problem(StoredDecision, record)) is not None:
        raise RecordRefused(problem)
    return decision


def by_time(record: Decision) -> tuple[str, str]:
    """Return the sort key of verdicts: time, then run."""
    return record["decided_at"], record["run_id"]
