"""A service's process: in a group of its own, its words in a log file, ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass
class ServiceProcess:
    """A running service.

    Args:
        command: program and arguments.
        environment: the whole of it.
        log: file that both outputs are added to.
        grace: seconds between SIGTERM and SIGKILL.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    grace: float = 10.0

    def __post_init__(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def code(self) -> int | None:
        """The exit code; none while it runs."""
        return self._process.poll()

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    def kill(self) -> None:
        """Ends the whole group at once, as the end of a container does."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def ask_to_end(self) -> None:
        """Sends SIGTERM, as the end of a container begins."""
        self._signal(signal.SIGTERM, group=False)

    def stop(self) -> None:
        """Asks it to end, and ends what is left after the grace."""
        self.ask_to_end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self.grace)
        self.kill()
        until = time.monotonic() + 5
        while _alive(self.pid) and time.monotonic() < until:
            time.sleep(0.05)

    def said(self, lines: int = 30) -> str:
        """Returns the last lines of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def _signal(self, number: int, *, group: bool = True) -> None:
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
