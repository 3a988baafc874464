"""All workers go on together, or each is told who is missing, in the time given."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from steel_training.training.cluster import Cluster, ClusterUnusable, WorkerLost
from steel_training.training.rendezvous import wait_for_all
from steel_training.training.strategy import meet


@pytest.fixture
def addresses() -> tuple[str, ...]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return (f"127.0.0.1:{port}", "127.0.0.1:1", "127.0.0.1:2")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_workers_that_come_one_after_the_other_go_on_together(
    addresses: tuple[str, ...], order: tuple[int, ...]
) -> None:
    with ThreadPoolExecutor(3) as pool:
        waiting = []
        for position in order:
            waiting.append(pool.submit(wait_for_all, addresses, position, 20.0))
            time.sleep(0.3)
            assert not any(one.done() for one in waiting[:-1]) or len(waiting) == 3
        assert [one.result() for one in waiting] == [[], [], []]


def test_the_chief_says_who_is_missing_and_the_others_end_too(addresses: tuple[str, ...]) -> None:
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(meet, Cluster(addresses, position), 1.5) for position in (0, 1)]
        with pytest.raises(WorkerLost, match="still waiting for 127.0.0.1:2. Start"):
            waiting[0].result()
        with pytest.raises(WorkerLost, match=f"still waiting for {addresses[0]}"):
            waiting[1].result()


def test_a_stranger_at_the_port_is_not_taken_for_a_worker(addresses: tuple[str, ...]) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_for_all, addresses, 0, 1.5)
        time.sleep(0.3)
        for words in (b"GET / HTTP/1.1\r\n\r\n", b"7\n", b"\xff\xfe\n"):
            with socket.create_connection(("127.0.0.1", int(addresses[0].split(":")[1]))) as stranger:
                stranger.sendall(words)
        assert waiting.result() == [1, 2]


def test_a_port_that_is_taken_is_told(addresses: tuple[str, ...]) -> None:
    port = int(addresses[0].split(":")[1])
    with socket.create_server(("", port)), pytest.raises(ClusterUnusable, match="cannot listen at its port"):
        meet(Cluster(addresses, 0), 1.0)
