"""Checks the verdicts that a registry reads from a store: a valid record, or what is wrong with it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steel_training.errors import SteelTrainingError
from steel_training.registry.stored import Decision
from steel_training.storage.schema import readable

_TYPE_NAMES: dict[type, str] = {str: "text", list: "a list", dict: "an object"}
_FIELDS: tuple[tuple[str, type, bool], ...] = (
    ("run_id", str, True),
    ("verdict", str, True),
    ("decided_at", str, True),
    ("reasons", list, False),
    ("metrics", dict, False),
    ("targets", dict, False),
    ("replaced", list, False),
)


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


def checked(record: Any) -> Decision:
    """Return a verdict's record if it has the fields that are needed to show it.

    Raises:
        RecordRefused: it does not.
        WrittenByNewer: a later version of this program wrote it.
    """
    decision: Decision = record  # as far as the checks below find no fault
    if not isinstance(record, dict):
        raise RecordRefused(f"it holds a {type(record).__name__}; expected an object")
    readable(record, "It")
    for name, kind, needed in _FIELDS:
        if (needed or name in record) and not isinstance(record.get(name), kind):
            raise RecordRefused(f"its {name} is {record.get(name)!r:.80}; expected {_TYPE_NAMES[kind]}")
    if not all(isinstance(reason, dict) and "code" in reason for reason in record.get("reasons", ())):
        raise RecordRefused("its reasons are not a list of objects with a code")
    if not isinstance(record.get("version"), str | None):
        raise RecordRefused(f"its version is {record['version']!r:.80}; expected text, or null")
    return decision


def by_time(record: Decision) -> tuple[str, str]:
    """Return the sort key of verdicts: time, then run."""
    return record["decided_at"], record["run_id"]
