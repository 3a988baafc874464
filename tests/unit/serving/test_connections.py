"""A real uvicorn server closes the connections that keep it waiting, and answers honest senders meanwhile."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

POST = b"POST /length HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\n"
ANSWER = b'{"length":4}'
LONG = 3600


def answered(receiver) -> bool:
    """Whether an honest request is answered."""
    with receiver.connect(POST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"body") as connection:
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return found.endswith(ANSWER)


def read_answer(connection: socket.socket) -> None:
    found = b""
    while not found.endswith(ANSWER):
        piece = connection.recv(65536)
        assert piece, found
        found += piece


def drip(connection: socket.socket, piece: bytes) -> bytes:
    """Sends a piece again and again until the server closes the connection; returns what it answered."""
    connection.settimeout(0.05)
    found, until = b"", time.monotonic() + 300
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            connection.sendall(piece)
        try:
            received = connection.recv(65536)
        except TimeoutError:
            continue
        except ConnectionResetError:
            return found
        if not received:
            return found
        found += received
    raise AssertionError("never closed")


def send_without_end(connection: socket.socket, piece: bytes) -> None:
    while True:
        connection.sendall(piece)


@pytest.mark.parametrize("head", [b"P", b"POST /length HTTP/1.1\r\nHost: h", POST[:-2]])
def test_half_a_head_is_answered_with_408_and_closed(receiver, until_closed, head: bytes) -> None:
    found = until_closed(receiver(head_s=1, body_s=LONG, idle_s=LONG).connect(head))
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in found.lower()
    assert b"did not end within 1 seconds" in found


def test_dripping_head_is_closed(receiver) -> None:
    connection = receiver(head_s=1, body_s=LONG, idle_s=LONG).connect(POST[:-2])
    assert drip(connection, b"X: y\r\n").startswith(b"HTTP/1.1 408 ")


def test_endless_head_is_refused_by_its_size(receiver) -> None:
    connection = receiver(head_s=LONG, body_s=LONG, idle_s=LONG).connect(POST[:-2])
    assert drip(connection, b"X: y\r\n" * 1000).startswith(b"HTTP/1.1 400 ")


def test_silent_sender_is_closed_without_an_answer(receiver, until_closed) -> None:
    assert until_closed(receiver(head_s=1, body_s=LONG, idle_s=LONG).connect()) == b""


def test_connection_is_kept_between_requests_but_not_for_ever(receiver, until_closed) -> None:
    server = receiver(head_s=LONG, body_s=LONG, idle_s=5)
    connection = server.connect(POST + b"body")
    read_answer(connection)
    connection.sendall(POST + b"body")
    read_answer(connection)
    assert until_closed(connection) == b""


def test_half_a_second_head_is_closed(receiver, until_closed) -> None:
    connection = receiver(head_s=2, body_s=LONG, idle_s=LONG).connect(POST + b"body" + POST[:20])
    found = until_closed(connection)
    assert found.count(b"HTTP/1.1 200 ") == 1
    assert found.count(b"HTTP/1.1 408 ") == 1


def test_body_that_nobody_reads_is_closed(receiver) -> None:
    connection = receiver(head_s=LONG, body_s=1, idle_s=LONG).connect(
        b"POST /other HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n"
    )
    assert drip(connection, b"x").startswith(b"HTTP/1.1 404 ")


def test_sender_that_does_not_read_is_closed(receiver) -> None:
    server = receiver(head_s=LONG, body_s=LONG, idle_s=2)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.settimeout(300)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_without_end(connection, (POST + b"body") * 1000)
    assert answered(server)


@pytest.mark.parametrize(
    "sent", [b"", POST[:20], POST, POST + b"bo"], ids=["silent", "half head", "no body", "half body"]
)
def test_senders_that_wait_leave_a_place(receiver, until_closed, sent: bytes) -> None:
    server = receiver(head_s=LONG, body_s=LONG, idle_s=LONG, connections=16)
    waiting = []
    for _ in range(64):
        waiting.append(server.connect(sent))
        if len(waiting) % 8 == 0:
            assert answered(server)
    # The oldest had to go; the others are still open.
    for connection in waiting[:40]:
        assert until_closed(connection) == b""
    waiting[-1].settimeout(0.2)
    with pytest.raises(TimeoutError):
        waiting[-1].recv(1)
    for connection in waiting[40:]:
        connection.close()


def test_request_that_is_being_answered_is_not_displaced(receiver) -> None:
    server = receiver(head_s=LONG, body_s=LONG, idle_s=LONG, connections=8)
    honest = server.connect(POST + b"wait")
    while not server.scoring:
        time.sleep(0.02)
    silent = [server.connect() for _ in range(32)]
    assert answered(server)
    server.release.set()
    read_answer(honest)
    for connection in (honest, *silent):
        connection.close()


def test_of_a_burst_the_newest_connections_stay(receiver) -> None:
    server = receiver(head_s=LONG, body_s=LONG, idle_s=LONG, connections=8)
    busy = server.connect(POST + b"stop")
    while not server.scoring:
        time.sleep(0.02)
    silent = [server.connect() for _ in range(32)]
    honest = [server.connect(POST + b"body") for _ in range(7)]
    server.release.set()  # all of them are accepted at once
    for connection in (busy, *honest):
        read_answer(connection)
    for connection in (busy, *honest, *silent):
        connection.close()
