"""Work in threads: all of it is done, or its error is raised; and its caller waits rather than piling it up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.storage.bounded_threads import BoundedThreads


class DiskFull(Exception):
    """What the work of these tests raises."""


@given(threads=st.integers(1, 8), work=st.lists(st.integers(), max_size=60))
def test_all_work_is_done_at_the_end(threads: int, work: list[int]) -> None:
    done: list[int] = []
    with BoundedThreads(threads) as pool:
        for each in work:
            pool.run(done.append, each)
    assert sorted(done) == sorted(work)


def run_all(threads: int, work: Callable[..., object], arguments: Iterable[object]) -> None:
    with BoundedThreads(threads) as pool:
        for each in arguments:
            pool.run(work, each)


@given(threads=st.integers(1, 4), pieces=st.integers(1, 60), data=st.data())
def test_an_error_of_any_piece_of_work_is_raised(threads: int, pieces: int, data: Any) -> None:
    failing = data.draw(st.integers(0, pieces - 1))

    def work(number: int) -> None:
        if number == failing:
            raise DiskFull(number)

    with pytest.raises(DiskFull):
        run_all(threads, work, range(pieces))


def test_work_that_waits_is_dropped_after_an_error() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        raise DiskFull(number)

    with pytest.raises(DiskFull):
        run_all(1, work, range(10_000))
    assert len(begun) < 100


def test_an_error_of_the_caller_is_its_own() -> None:
    def work(_: int) -> None:
        raise DiskFull

    def arguments() -> Iterator[int]:
        yield 0
        raise KeyError("of the caller")

    with pytest.raises(KeyError):
        run_all(2, work, arguments())


def test_caller_waits_while_much_work_waits(wait_until: Callable[..., Any]) -> None:
    release, taken = threading.Event(), []

    def hand_in() -> None:
        with BoundedThreads(2) as pool:
            for number in range(100):
                pool.run(release.wait)
                taken.append(number)

    caller = threading.Thread(target=hand_in)
    caller.start()
    wait_until(lambda: len(taken) >= 8, "work that is taken")
    time.sleep(0.05)
    assert len(taken) == 8
    release.set()
    caller.join()
    assert len(taken) == 100
