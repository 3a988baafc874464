"""Ports for servers that are started a moment later: nobody else who asks here gets the same one.

A port that is only looked up may be taken before the server listens: by another test run, by a connection that the system gives
a port to, or by the next look-up. These are locked for the life of the process that asked, and lie below the range (from 32768)
that the system gives out. A lock ends with its process, however it ends; a server that outlived its tests keeps its port, and is
passed over.
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
    """Returns a port that is this process's own until it ends.

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
