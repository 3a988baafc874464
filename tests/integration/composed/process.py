"""A service's process: its output goes to a log file, and it is ended with all its child processes, like a container."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


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
                preexec_fn=_end_with_parent,
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
        """Kills it and all its child processes, whatever their sessions and process groups."""
        _kill([*self._family(), psutil.Process(self.pid)] if self.code is None else [])
        self._process.wait()

    def ask_to_end(self) -> None:
        """Sends SIGTERM, as when a container is stopped."""
        if self.code is None:
            self._process.terminate()

    def stop(self) -> None:
        """Sends SIGTERM, and kills it and its child processes after the grace period."""
        family = self._family()
        self.ask_to_end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self.grace)
        self.kill()
        _kill(family)

    def said(self, lines: int = 30) -> str:
        """Returns the last lines of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def _family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []


def _end_with_parent() -> None:
    """Lets the kernel end the process when its parent is gone, even if that was killed."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # a reused process id does not match either
            process.kill()
    psutil.wait_procs(processes, timeout=5)
