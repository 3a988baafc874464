"""All workers start together, or each reports who is missing within the timeout."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from steel_training.training.cluster import Cluster, ClusterUnusable, WorkerLost
from steel_training.training.rendezvous import wait_for_all
from steel_training.training.strategy import meet


@pytest.fixture
def addresses(own_port: Callable[[], int]) -> tuple[str, ...]:
    return (f"127.0.0.1:{own_port()}", "127.0.0.1:1", "127.0.0.1:2")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_workers_joining_in_turn_start_together(addresses: tuple[str, ...], order: tuple[int, ...]) -> None:
    with ThreadPoolExecutor(3) as pool:
        waiting = []
        for position in order:
            waiting.append(pool.submit(wait_for_all, addresses, position, 300.0))
            time.sleep(0.3)
            assert not any(one.done() for one in waiting[:-1]) or len(waiting) == 3
        assert [one.result() for one in waiting] == [[], [], []]


def test_chief_names_missing_workers_and_all_stop(addresses: tuple[str, ...]) -> None:
    for seconds in (1.5, 15.0, 150.0):  # on a busy machine the second worker may come too late for the chief as well
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(meet, Cluster(addresses, position), seconds) for position in (0, 1)]
            with pytest.raises(WorkerLost) as chiefs:
                waiting[0].result()
            with pytest.raises(WorkerLost, match=f"still waiting for {addresses[0]}"):
                waiting[1].result()
        chief = str(chiefs.value)
        if addresses[1] not in chief:
            break
    assert "still waiting for 127.0.0.1:2. Start" in chief


def test_foreign_connection_is_not_a_worker(addresses: tuple[str, ...], wait_until: Callable[..., Any]) -> None:
    def knock(words: bytes) -> bool:
        with contextlib.suppress(ConnectionRefusedError):  # the chief does not listen yet
            with socket.create_connection(("127.0.0.1", int(addresses[0].split(":")[1]))) as stranger:
                stranger.sendall(words)
            return True
        return False

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(wait_for_all, addresses, 0, 300.0)]
        for words in (b"GET / HTTP/1.1\r\n\r\n", b"7\n", b"\xff\xfe\n"):
            wait_until(lambda words=words: knock(words), "a chief that listens")
        # The chief hears one after the other. Had it taken a stranger for a worker, it would miss one of these.
        waiting += [pool.submit(wait_for_all, addresses, position, 300.0) for position in (1, 2)]
        assert [one.result() for one in waiting] == [[], [], []]


def test_port_in_use_is_reported(addresses: tuple[str, ...]) -> None:
    port = int(addresses[0].split(":")[1])
    with socket.create_server(("", port)), pytest.raises(ClusterUnusable, match="cannot listen at its port"):
        meet(Cluster(addresses, 0), 1.0)
