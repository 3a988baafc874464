"""Every verdict of a registry, kept in memory: a record is read again only when it was replaced."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait

from steel_training.registry.model_registry import Registry
from steel_training.registry.record import RecordRefused, Unreadable, Verdicts, by_time, checked
from steel_training.registry.stored import Decision
from steel_training.storage import Entry, ObjectNotFound
from steel_training.storage.schema import WrittenByNewer

_THREADS = 16

_Reading = Future[Decision | Unreadable | None]


class Decisions:
    """The verdicts of one registry, for a process that reads them repeatedly.

    One listing returns the records and the tags of their content; those with a new tag are read, in parallel,
    newest first. So the result is what the store held when it was listed.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[str, tuple[str, _Reading]] = {}
        self._lock = threading.Lock()
        self._readers = ThreadPoolExecutor(_THREADS, thread_name_prefix="decisions")

    def read(self, within: float | None = None) -> Verdicts:
        """Return every verdict.

        Args:
            within: seconds after which the records read so far are returned; the rest is read in the background for the next caller.

        Raises:
            StorageError: the store cannot be reached.
        """
        with self._lock:
            entries = sorted(self._registry.decision_entries(), key=lambda entry: entry.modified, reverse=True)
            self._known = {
                entry.key: known
                if (known := self._known.get(entry.key)) is not None
                and known[0] == entry.etag
                and not _failed(known[1])
                else (entry.etag, self._readers.submit(self._fetch, entry))
                for entry in entries
            }
            reading = {key: future for key, (_, future) in self._known.items()}
        done, missing = wait(reading.values(), timeout=within)
        results = [future.result() for future in done]
        found = [result for result in results if result is not None and not isinstance(result, Unreadable)]
        found.sort(key=by_time, reverse=True)
        return Verdicts(found, [result for result in results if isinstance(result, Unreadable)], len(missing))

    def _fetch(self, entry: Entry) -> Decision | Unreadable | None:
        """Return a record, or what is wrong with it; `None` where it was removed since the listing."""
        try:
            return checked(self._registry.store.read_json(entry.key))
        except ObjectNotFound:
            return None
        except (ValueError, RecordRefused, WrittenByNewer) as error:
            return Unreadable(entry.key, str(error))


def _failed(reading: _Reading) -> bool:
    """Return whether a read ended without an answer of the store; it is made again, also where nobody was told."""
    return reading.done() and reading.exception() is not None
