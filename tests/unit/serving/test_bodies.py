"""Bodies arrive within a time and a size, and those that hold memory without getting on make room for those that do."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

MIB = 2**20
LONG = 3600


def head(length: int) -> bytes:
    return f"POST /length HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode()


def parts(answer: bytes) -> tuple[int, dict]:
    """Returns status and content of a response."""
    status, content = answer.split(b"\r\n", 1)[0], answer.split(b"\r\n\r\n", 1)[1]
    return int(status.split()[1]), json.loads(content)


def test_half_a_body_is_answered_with_408_and_closed(receiver, until_closed) -> None:
    server = receiver(head_s=LONG, body_s=1, idle_s=LONG)
    status, content = parts(until_closed(server.connect(head(100).replace(b"Connection: close\r\n", b"") + b"half")))
    assert status == 408
    assert "4 bytes of the body arrived within 1 seconds" in content["error"]


def test_dripping_body_is_closed(receiver, until_closed) -> None:
    connection = receiver(head_s=LONG, body_s=1, idle_s=LONG).connect(head(10**6))
    connection.settimeout(0.05)
    until = time.monotonic() + 300
    while time.monotonic() < until:
        connection.sendall(b"x")
        try:
            answer = connection.recv(65536)
        except TimeoutError:
            continue
        break
    assert parts(answer)[0] == 408
    connection.settimeout(300)
    assert until_closed(connection) == b""


def test_dripping_chunks_are_closed(receiver, until_closed) -> None:
    connection = receiver(head_s=LONG, body_s=1, idle_s=LONG).connect(
        b"POST /length HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
    )
    assert parts(until_closed(connection))[0] == 408


def test_too_large_a_body_is_read_on_so_that_its_sender_reads_the_error(receiver, until_closed) -> None:
    server = receiver(body_bytes=MIB, body_s=LONG)
    status, content = parts(until_closed(server.connect(head(4 * MIB) + bytes(4 * MIB))))
    assert (status, "larger than 1,048,576 bytes" in content["error"]) == (413, True)


def test_announced_bytes_hold_nothing(receiver, until_closed) -> None:
    server = receiver(held_bytes=4 * MIB, body_bytes=4 * MIB, body_s=LONG)
    silent = [server.connect(head(4 * MIB)) for _ in range(32)]
    assert parts(until_closed(server.connect(head(3 * MIB) + bytes(3 * MIB)))) == (200, {"length": 3 * MIB})
    for connection in silent:
        connection.close()


def test_bodies_that_stopped_make_room_for_those_that_arrive(receiver, until_closed) -> None:
    server = receiver(held_bytes=8 * MIB, body_bytes=4 * MIB, body_s=LONG)
    stopped = [server.connect(head(4 * MIB) + bytes(3 * MIB)) for _ in range(4)]
    for _ in range(4):
        assert parts(until_closed(server.connect(head(4 * MIB) + bytes(4 * MIB)))) == (200, {"length": 4 * MIB})
    stopped[0].sendall(bytes(MIB))
    status, content = parts(until_closed(stopped[0]))
    assert (status, "arriving for longest; retry later" in content["error"]) == (503, True)
    for connection in stopped[1:]:
        connection.close()


def test_whole_bodies_are_never_displaced(receiver, until_closed) -> None:
    server = receiver(held_bytes=8 * MIB, body_bytes=4 * MIB, body_s=LONG)
    held = [server.connect(head(4 * MIB) + b"wait" + bytes(4 * MIB - 4)) for _ in range(2)]
    while len(server.scoring) < 2:
        time.sleep(0.02)
    assert parts(until_closed(server.connect(head(MIB) + bytes(MIB))))[0] == 503
    server.release.set()
    assert [parts(until_closed(connection)) for connection in held] == [(200, {"length": 4 * MIB})] * 2
    assert parts(until_closed(server.connect(head(4 * MIB) + bytes(4 * MIB))))[0] == 200, "the bytes are free again"


def test_bytes_of_senders_that_left_are_free_again(receiver, until_closed) -> None:
    server = receiver(held_bytes=4 * MIB, body_bytes=4 * MIB, body_s=LONG)

    def leave(_: int) -> None:
        connection: socket.socket = server.connect(head(4 * MIB) + bytes(MIB))
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(leave, range(64)))
    assert parts(until_closed(server.connect(head(4 * MIB) + bytes(4 * MIB))))[0] == 200
