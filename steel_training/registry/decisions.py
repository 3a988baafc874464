"""Every verdict of a registry, kept in memory: a record is read again only when it was replaced."""

from __future__ import annotations

import threading
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from steel_training.errors import SteelTrainingError
from steel_training.registry.model_registry import Registry
from steel_training.storage import Entry, ObjectNotFound
from steel_training.storage.schema import WrittenByNewer, readable

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


@dataclass(frozen=True)
class Verdicts:
    """What is known of a registry's verdicts.

    Attributes:
        found: newest first.
        unreadable: records that are none.
        missing: how many are still being read; 0 where no time was set.
    """

    found: list[dict[str, Any]]
    unreadable: list[Unreadable]
    missing: int


class Decisions:
    """The verdicts of one registry, for a process that is asked for them again and again.

    One listing tells which records there are and the tags of their content; those whose tag is new are read, in parallel,
    those written last first. So what is returned is what the store held when it was listed.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[str, tuple[str, Future[dict[str, Any] | Unreadable | None]]] = {}
        self._lock = threading.Lock()
        self._readers = ThreadPoolExecutor(_THREADS, thread_name_prefix="decisions")

    def read(self, within: float | None = None) -> Verdicts:
        """Returns every verdict.

        Args:
            within: seconds after which what has been read so far is returned; the rest is read on, for the next caller.

        Raises:
            StorageError: the store cannot be reached.
        """
        with self._lock:
            entries = sorted(self._registry.decision_entries(), key=lambda entry: entry.modified, reverse=True)
            self._known = {
                entry.key: known
                if (known := self._known.get(entry.key)) is not None and known[0] == entry.etag
                else (entry.etag, self._readers.submit(self._fetch, entry))
                for entry in entries
            }
            reading = {key: future for key, (_, future) in self._known.items()}
        done, missing = wait(reading.values(), timeout=within)
        try:
            results = [future.result() for future in done]
        except BaseException:
            self._forget(failed=done)
            raise
        found = [result for result in results if isinstance(result, dict)]
        found.sort(key=lambda decision: (decision["decided_at"], decision["run_id"]), reverse=True)
        return Verdicts(found, [result for result in results if isinstance(result, Unreadable)], len(missing))

    def _forget(self, failed: Collection[Future[Any]]) -> None:
        """Lets the next caller read again what could not be reached."""
        with self._lock:
            gone = {
                key for key, (_, future) in self._known.items() if future in failed and future.exception() is not None
            }
            self._known = {key: known for key, known in self._known.items() if key not in gone}

    def _fetch(self, entry: Entry) -> dict[str, Any] | Unreadable | None:
        """Returns a record, or what is wrong with it; `None` where it is gone since the listing."""
        try:
            return _checked(self._registry.store.read_json(entry.key))
        except ObjectNotFound:
            return None
        except (ValueError, RecordRefused, WrittenByNewer) as error:
            return Unreadable(entry.key, str(error))


def _checked(record: Any) -> dict[str, Any]:
    """Returns a record that has what is needed to show it.

    Raises:
        RecordRefused: it has not.
        WrittenByNewer: a later version of this program wrote it.
    """
    if not isinstance(record, dict):
        raise RecordRefused(f"it holds a {type(record).__name__}; expected an object")
    readable(record, "It")
    for name, kind, needed in _FIELDS:
        if (needed or name in record) and not isinstance(record.get(name), kind):
            raise RecordRefused(f"its {name} is {record.get(name)!r:.80}; expected {_SAID[kind]}")
    if not all(isinstance(reason, dict) for reason in record.get("reasons", ())):
        raise RecordRefused("its reasons are no list of objects")
    return record
