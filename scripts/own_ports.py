"""Reserves ports for servers that are started later: no other caller gets the same one.

A free port may be taken before the server listens: by another test run, by an outgoing connection, or by the next search. These
ports are locked for the life of the calling process, and are below the system's ephemeral range (from 32768). A lock ends with its
process, however it ends; a port on which a server still listens is skipped.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

HOST = "127.0.0.1"
RANGE = range(20_000, 32_000)
_locks: list[IO[str]] = []


class NoPortLeft(Exception):
    """Every port of the range is taken."""


def own_port() -> int:
    """Return a port that is reserved for this process until it ends.

    Raises:
        NoPortLeft: every port of the range is taken.
    """
    folder = Path(tempfile.gettempdir(), f"steel-training-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    for port in random.sample(RANGE, len(RANGE)):
        lock = (folder / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.create_server((HOST, port)):
                pass
        except OSError:
            lock.close()
            continue
        _locks.append(lock)
        return port
    raise NoPortLeft(f"No free port from {RANGE.start} to {RANGE.stop - 1}.")
