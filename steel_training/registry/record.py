"""What a registry reads back from a store: a record that has what is needed of it, or what is wrong with it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steel_training.errors import SteelTrainingError
from steel_training.registry.stored import Decision
from steel_training.storage.schema import readable

_SAID: dict[type, str] = {str: "text", list: "a list", dict: "an object"}
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
    """What lies where a verdict should is none."""


@dataclass(frozen=True)
class Unreadable:
    """A record that is none.

    Attributes:
        key: where it lies in the store.
        why: what was found there.
    """

    key: str
    why: str


@dataclass(frozen=True)
class Verdicts:
    """What is known of a registry's verdicts.

    Attributes:
        found: newest first.
        unreadable: records that are none.
        missing: how many are still being read; 0 where no time was set.
    """

    found: list[Decision]
    unreadable: list[Unreadable]
    missing: int = 0


def checked(record: Any) -> Decision:
    """Returns a verdict's record that has what is needed to show it.

    Raises:
        RecordRefused: it has not.
        WrittenByNewer: a later version of this program wrote it.
    """
    decision: Decision = record  # as far as the checks below find no fault
    if not isinstance(record, dict):
        raise RecordRefused(f"it holds a {type(record).__name__}; expected an object")
    readable(record, "It")
    for name, kind, needed in _FIELDS:
        if (needed or name in record) and not isinstance(record.get(name), kind):
            raise RecordRefused(f"its {name} is {record.get(name)!r:.80}; expected {_SAID[kind]}")
    if not all(isinstance(reason, dict) and "code" in reason for reason in record.get("reasons", ())):
        raise RecordRefused("its reasons are no list of objects with a code")
    if not isinstance(record.get("version"), str | None):
        raise RecordRefused(f"its version is {record['version']!r:.80}; expected text, or null")
    return decision


def by_time(record: Decision) -> tuple[str, str]:
    """Returns what verdicts are sorted by: when they fell, then the run."""
    return record["decided_at"], record["run_id"]
