"""Every verdict of a registry, kept in memory: a record is read again only when it was replaced."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from steel_training.errors import SteelTrainingError
from steel_training.registry.registry import Registry
from steel_training.storage import Entry, ObjectNotFound

_THREADS = 16
_SAID: dict[type, str] = {str: "text", list: "a list", dict: "an object"}
_FIELDS: tuple[tuple[str, type, bool], ...] = (
    ("run_id", str, True),
    ("verdict", str, True),
    ("decided_at", str, True),
    ("reasons", list, False),
    ("metrics", dict, False),
    ("targets", dict, False),
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


class Decisions:
    """The verdicts of one registry, for a process that is asked for them again and again.

    One listing tells which records there are and the tags of their content; those whose tag is new are read, in parallel.
    So what is returned is what the store held when it was listed.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[str, tuple[str, dict[str, Any] | Unreadable]] = {}
        self._lock = threading.Lock()

    def read(self) -> tuple[list[dict[str, Any]], list[Unreadable]]:
        """Returns every verdict, newest first, and the records that could not be read.

        Raises:
            StorageError: the store cannot be reached.
        """
        with self._lock:
            entries = self._registry.decision_entries()
            new = [entry for entry in entries if self._known.get(entry.key, ("", None))[0] != entry.etag]
            if new:
                with ThreadPoolExecutor(_THREADS) as pool:
                    fetched = dict(zip((entry.key for entry in new), pool.map(self._fetch, new), strict=True))
            else:
                fetched = {}
            tagged = {entry.key: entry.etag for entry in entries}
            known = {key: value for key, value in self._known.items() if key in tagged}
            known |= {key: (tagged[key], found) for key, found in fetched.items() if found is not None}
            self._known = known
            found = [value for _, value in known.values()]
        whole = [one for one in found if not isinstance(one, Unreadable)]
        whole.sort(key=lambda decision: (decision["decided_at"], decision["run_id"]), reverse=True)
        return whole, [one for one in found if isinstance(one, Unreadable)]

    def _fetch(self, entry: Entry) -> dict[str, Any] | Unreadable | None:
        """Returns a record, or what is wrong with it; `None` where it is gone since the listing."""
        try:
            return _checked(self._registry.store.read_json(entry.key))
        except ObjectNotFound:
            return None
        except (ValueError, RecordRefused) as error:
            return Unreadable(entry.key, str(error))


def _checked(record: Any) -> dict[str, Any]:
    """Returns a record that has what is needed to show it.

    Raises:
        RecordRefused: it has not.
    """
    if not isinstance(record, dict):
        raise RecordRefused(f"it holds a {type(record).__name__}; expected an object")
    for name, kind, needed in _FIELDS:
        if (needed or name in record) and not isinstance(record.get(name), kind):
            raise RecordRefused(f"its {name} is {record.get(name)!r:.80}; expected {_SAID[kind]}")
    if not all(isinstance(reason, dict) for reason in record.get("reasons", ())):
        raise RecordRefused("its reasons are no list of objects")
    return record
