"""A service's process: its words in a log file, ended with all that it started, as a container is."""

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
        """Ends it and all that it started at once, whatever sessions and groups they made of themselves."""
        _kill([*self._family(), psutil.Process(self.pid)] if self.code is None else [])
        self._process.wait()

    def ask_to_end(self) -> None:
        """Sends SIGTERM, as the end of a container begins."""
        if self.code is None:
            self._process.terminate()

    def stop(self) -> None:
        """Asks it to end, and ends what is left of it and of all that it started after the grace."""
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
    """Lets the kernel tell the process to end when the one that started it is gone, killed perhaps: nothing else would."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # a number that was given anew is no such process either
            process.kill()
    psutil.wait_procs(processes, timeout=5)
