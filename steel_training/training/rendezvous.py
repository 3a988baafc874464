"""Rendezvous of the workers of a cluster before TensorFlow starts, with a timeout.

TensorFlow's own barrier has no timeout and cannot be interrupted: SIGTERM does not end a process that waits at it. So every
worker first connects to the chief, on the port that TensorFlow uses afterwards.
"""

from __future__ import annotations

import contextlib
import socket
import time

PAUSE_SECONDS = 0.5
_GO = b"go\n"


def wait_for_all(addresses: tuple[str, ...], position: int, seconds: float) -> list[int]:
    """Wait until all workers are connected, or the timeout expires.

    Args:
        addresses: `host:port`, the chief first.
        position: of this process among them; 0 is the chief.
        seconds: timeout.

    Returns:
        Positions of the missing workers; on workers other than the chief `[0]`, since only the chief knows.

    Raises:
        OSError: the chief's port cannot be opened.
    """
    deadline = time.monotonic() + seconds
    if position == 0:
        return _as_chief(addresses, deadline)
    return [] if _as_worker(addresses[0], position, deadline) else [0]


def split_address(address: str) -> tuple[str, int]:
    """Split `host:port`; an IPv6 address is in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _as_chief(addresses: tuple[str, ...], deadline: float) -> list[int]:
    _, port = split_address(addresses[0])
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    there: dict[int, socket.socket] = {}
    expected = range(1, len(addresses))
    with (
        contextlib.ExitStack() as stack,
        socket.create_server(("", port), family=family, dualstack_ipv6=family == socket.AF_INET6) as server,
    ):
        while len(there) < len(expected) and (left := deadline - time.monotonic()) > 0:
            server.settimeout(left)
            try:
                connection, _ = server.accept()
                stack.enter_context(connection)
                connection.settimeout(5)
                named = connection.recv(16).decode("ascii").strip()
            except (OSError, UnicodeDecodeError):
                continue
            # Ignore connections that are not from our workers; a worker that reconnects replaces its old connection.
            if named.isdigit() and int(named) in expected:
                there[int(named)] = connection
        missing = [number for number in expected if number not in there]
        if not missing:
            for connection in there.values():
                with contextlib.suppress(OSError):
                    connection.sendall(_GO)
    return missing


def _as_worker(chief: str, position: int, deadline: float) -> bool:
    while (left := deadline - time.monotonic()) > 0:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(split_address(chief), timeout=min(left, 10)) as chiefs,
        ):
            chiefs.sendall(f"{position}\n".encode())
            chiefs.settimeout(max(0.1, deadline - time.monotonic()))
            if chiefs.recv(len(_GO)) == _GO:
                return True
        time.sleep(PAUSE_SECONDS)
    return False
