"""Reads and writes the store for the page's requests, so that a store that hangs keeps nothing else of Airflow waiting.

All applications of the API server share about forty threads, and an endpoint of the page that waited in one of them could stop
Airflow's own. The page's endpoints therefore run in a few threads of its own, each request for a limited time. A thread that hangs on
a disk cannot be interrupted; it keeps its place until the disk answers, and takes none from others.

After the store did not answer (a circuit breaker), requests are answered at once for a while without asking it. Then one request asks
whether it answers, and goes on if it does.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from models_page.store import open_store
from steel_training.errors import SteelTrainingError
from steel_training.storage import OutcomeUnknown, Storage, StorageError, StorageUnavailable

log = logging.getLogger(__name__)

THREADS = 8
QUEUE = 64
"""Requests that may wait for a thread: a browser may fetch all pictures of a version at once."""
PAUSE_SECONDS = 15.0
PAGE_SECONDS = 15.0
LONG_SECONDS = 60.0
"""For a file of 256 MB, or for the check of a whole version before it becomes champion."""
_BUSY_SECONDS = 5.0

P = ParamSpec("P")
R = TypeVar("R")


class StoreNotAsked(SteelTrainingError):
    """The store does not answer in time, or is waited for by too many; nothing was written for this request.

    Attributes:
        retry_seconds: after which to ask again.
    """

    def __init__(self, message: str, retry_seconds: float) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


@dataclass
class _Outage:
    """A store that did not answer: since when, why, when to ask it again, and whether a request is asking it now."""

    since: datetime
    reason: str
    retry_at: float
    asking: bool = False


def asks_store(
    seconds: float = PAGE_SECONDS, *, moves: bool = False
) -> Callable[[Callable[P, R]], Callable[P, Coroutine[Any, Any, R]]]:
    """Make an endpoint run in the page's own threads.

    Args:
        seconds: after which the request is answered without it.
        moves: whether it may move the champion, so that an endpoint that goes on after that has an unknown outcome.
    """

    def decorate(endpoint: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
        @functools.wraps(endpoint)
        async def answer(*args: P.args, **kwargs: P.kwargs) -> R:
            access = _access(open_store())
            return await access.answer(functools.partial(endpoint, *args, **kwargs), seconds, moves=moves)

        return answer

    return decorate


@functools.lru_cache(maxsize=8)
def _access(store: Storage) -> StoreAccess:
    return StoreAccess(store)


class StoreAccess:
    """The threads in which requests wait for one store, and whether it answers."""

    def __init__(self, store: Storage) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="models-page")
        self._requests: set[Future[Any]] = set()
        self._outage: _Outage | None = None
        self._lock = threading.Lock()

    async def answer(self, work: Callable[[], R], seconds: float, *, moves: bool = False) -> R:
        """Return what `work` returns.

        Raises:
            StoreNotAsked: the store does not answer; `work` has not begun, or only reads.
            OutcomeUnknown: `moves`, and `work` has not ended within `seconds`; it goes on.
        """
        request = self._begin(work)
        result = asyncio.wrap_future(request)
        await asyncio.wait([result], timeout=seconds)
        if result.done():
            return result.result()
        if request.cancel():
            raise self._too_many()
        result.cancel()
        if self._store.is_local:  # S3 has timeouts of its own: a request that takes this long there does get answers
            self._fails(f"no answer within {seconds:g} s. Check the disk or network share that holds it.")
        if moves:
            raise OutcomeUnknown(
                f"{self._store.uri} has not answered within {seconds:g} s, and the request goes on. It is unknown whether the champion "
                "will have moved, or the answer will be stored: look at the models page and at Airflow's audit log (steel_model_promote, "
                "steel_model_rollback), or reload the page of labels, before you try again."
            )
        raise self._not_now() if self._outage else self._too_slow(seconds)

    def _begin(self, work: Callable[[], R]) -> Future[R]:
        """Give `work` to a thread, or to the queue while the store answers."""
        with self._lock:
            self._requests = {request for request in self._requests if not request.done()}
            outage = self._outage
            if outage is None:
                if len(self._requests) >= THREADS + QUEUE:
                    raise self._too_many()
            elif outage.asking or time.monotonic() < outage.retry_at or len(self._requests) >= THREADS:
                raise self._not_now()
            else:
                outage.asking = True
            request = self._threads.submit(contextvars.copy_context().run, self._run, work, outage)
            self._requests.add(request)
            return request

    def _run(self, work: Callable[[], R], outage: _Outage | None) -> R:
        try:
            if outage is not None:
                self._ask(outage)
            elif self._outage is not None:  # since this request was queued
                raise self._not_now()
            return work()
        except StorageUnavailable as error:
            self._fails(str(error))
            if isinstance(error, OutcomeUnknown):
                raise
            raise self._not_now() from error

    def _ask(self, outage: _Outage) -> None:
        """End an outage if the store answers a small request; a refusal is an answer."""
        try:
            self._store.folders("models")
        except StorageUnavailable:
            raise
        except StorageError as error:
            log.info("%s answers again: %s", self._store.uri, error)
        finally:
            outage.asking = False
        with self._lock:
            self._outage = None

    def _fails(self, reason: str) -> None:
        with self._lock:
            since = self._outage.since if self._outage else datetime.now(UTC)
            self._outage = _Outage(since, reason, time.monotonic() + PAUSE_SECONDS)

    def _not_now(self) -> StoreNotAsked:
        outage = self._outage
        if outage is None:  # it answers again since
            return StoreNotAsked(f"The store {self._store.uri} did not answer for a moment. Reload this page.", 1.0)
        left = max(1.0, outage.retry_at - time.monotonic())
        return StoreNotAsked(
            f"The store {self._store.uri} has not answered since {outage.since:%Y-%m-%d %H:%M:%S} UTC: {outage.reason} "
            f"It is asked again in {left:.0f} s; until then this page answers without it. The rest of Airflow is not affected.",
            left,
        )

    def _too_slow(self, seconds: float) -> StoreNotAsked:
        return StoreNotAsked(
            f"The store {self._store.uri} is slow: this took longer than {seconds:g} s. Reload in {_BUSY_SECONDS:.0f} s: records that were "
            "read meanwhile are kept. A large file is better read from the store itself.",
            _BUSY_SECONDS,
        )

    def _too_many(self) -> StoreNotAsked:
        return StoreNotAsked(
            f"All {THREADS} threads of this page are waiting for the store {self._store.uri}, and other requests wait for them. "
            f"Reload in {_BUSY_SECONDS:.0f} s; if this goes on, check the disk, network share or service that holds the store.",
            _BUSY_SECONDS,
        )
