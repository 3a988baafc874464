"""Threads for work that waits for a disk or runs outside the interpreter's lock, such as syncing and compressing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Semaphore
from types import TracebackType
from typing import Any, Self


class BoundedThreads:
    """Runs work in threads; with much of it waiting, its caller waits as well.

    As a context, it waits for all work at its end. The first error of the work is raised by the next `run`, or at the end; what was
    begun is finished, what waits is dropped.

    Args:
        threads: how many.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._places = Semaphore(4 * threads)
        self._failed: Future[Any] | None = None

    def run(self, work: Callable[..., object], *arguments: object) -> None:
        """Run work in a thread.

        Raises:
            Exception: earlier work raised it.
        """
        self._places.acquire()
        if self._failed is not None:
            self._places.release()
            self._failed.result()
        self._pool.submit(work, *arguments).add_done_callback(self._done)

    def _done(self, future: Future[Any]) -> None:
        if not future.cancelled() and future.exception() is not None and self._failed is None:
            self._failed = future
        self._places.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=error is not None or self._failed is not None)
        if error is None and self._failed is not None:
            self._failed.result()
