"""Runs a command in its own process group, forwards its output line by line, and cleans up the whole group.

Independent of Airflow. Three endings are covered: the command exits (processes that it left running are ended too), the
caller stops it (`terminate`, also from a signal handler), and the caller is killed (a guard process notices its pipe
close and ends the group, so that no training holds the GPU while its retry starts).

The command can read neither environment nor memory of the caller, nor of any other process outside its group (`isolated.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

GRACE_SECONDS = 3.0  # Airflow itself waits 5 s between SIGTERM and SIGKILL
LINGER_SECONDS = 2.0

# Exits when it reads a line; when its pipe closes instead, it ends the process group $1.
# (`kill -- -N` is unknown to dash.)
_GUARD = 'read -r _ && exit 0; kill -TERM "-$1"; sleep 3; kill -KILL "-$1"'


_ISOLATED = Path(__file__).with_name("isolated.py")


class NotIsolated(Exception):
    """The command was not started: it could read the environment and memory of the processes that started it."""


class ChildProcess:
    """One command, run once.

    Args:
        command: program and arguments.
        env: the whole environment of the command.
        isolation_required: do not start the command where the kernel cannot shut it out of the processes around it.
        warn: called where the kernel cannot, and the command is started all the same.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        isolation_required: bool = False,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.command = list(command)
        self.env = dict(env)
        self.isolation_required = isolation_required
        self.warn = warn
        self.terminated = False
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, on_line: Callable[[str], None]) -> tuple[int, str]:
        """Run the command to its end.

        Args:
            on_line: called with every line of both outputs as it arrives, except the last line of standard output.

        Returns:
            The exit code (negative: the signal that ended it) and the last line of standard output.

        Raises:
            OSError: the command cannot be started.
            NotIsolated: isolation is required, and the kernel offers none.
        """
        reports, report_to = os.pipe()
        with open(reports, encoding="utf-8") as report:
            try:
                process = subprocess.Popen(
                    self._isolated(report_to),
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    process_group=0,
                    pass_fds=(report_to,),
                )
            finally:
                os.close(report_to)
            return self._follow(process, report, on_line)

    def _isolated(self, report_to: int) -> list[str]:
        wanted = "required" if self.isolation_required else "preferred"
        return [sys.executable, "-I", "-S", str(_ISOLATED), str(report_to), wanted, *self.command]

    def _follow(
        self, process: subprocess.Popen[bytes], report: IO[str], on_line: Callable[[str], None]
    ) -> tuple[int, str]:
        self._process = process
        try:
            with _guarded(process.pid):
                if self.terminated:
                    self._end_group()
                self._judge(report.read())  # until the command runs, or has failed to start
                last = _pump(process, on_line)
                code = process.wait()
                self._end_group()
        except BaseException:
            self._end_group()
            raise
        finally:
            self._process = None
            _close(process)
        return code, last

    def _judge(self, report: str) -> None:
        """Read what the isolating program has to say.

        It says nothing where it was ended before.
        """
        facts = {name: value for line in report.splitlines() for name, value in json.loads(line).items()}
        if facts.get("by", "ended before") is None:
            problem = (
                "The stage can read the environment and memory of Airflow's processes, and the secrets in them: the kernel offers no means "
                f"to shut it out ({facts['refused']}). Run workers on Linux 5.19 or later with Landlock (`landlock` in its parameter "
                "lsm=, allowed by the container's seccomp profile: Docker 23 or later), or allow user namespaces"
            )
            if self.isolation_required:
                raise NotIsolated(f"{problem}; or set STEEL_TRAINING_ISOLATION to preferred.")
            self.warn(f"{problem}. STEEL_TRAINING_ISOLATION=required makes this an error.")
        if "errno" in facts:
            raise OSError(facts["errno"], os.strerror(facts["errno"]), self.command[0])

    def terminate(self) -> None:
        """End the process group of the command: SIGTERM, then SIGKILL. May be called from a signal handler."""
        self.terminated = True
        self._end_group()

    def _end_group(self) -> None:
        process = self._process
        if process is None:
            return
        if not _signal_group(process.pid, signal.SIGTERM):
            return
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            process.poll()  # until it is reaped, the group leader counts as running
            if not _signal_group(process.pid, 0):
                return
            time.sleep(0.05)
        _signal_group(process.pid, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; return whether the group exists (signal 0 only checks)."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def _guarded(group: int) -> Iterator[None]:
    """End the group if this process dies before the block is left."""
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guard", str(group)],
        env={},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            guard.communicate(b"done\n")


def _pump(process: subprocess.Popen[bytes], on_line: Callable[[str], None]) -> str:
    """Forward lines until both outputs are closed, or the command has exited and another process keeps them open.

    Returns:
        The last line of standard output.
    """
    out, err = _Lines(), _Lines()
    last = ""
    until: float | None = None
    with selectors.DefaultSelector() as selector:
        for stream, lines in ((process.stdout, out), (process.stderr, err)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, lines)
        while selector.get_map() and (until is None or time.monotonic() < until):
            for key, _ in selector.select(timeout=0.5):
                lines = key.data
                data = os.read(key.fd, 1 << 16)
                for line in lines.feed(data):
                    if lines is out:
                        line, last = last, line
                    if line:
                        on_line(line)
                if not data:
                    selector.unregister(key.fileobj)
            if until is None and process.poll() is not None:
                until = time.monotonic() + LINGER_SECONDS
    return last


class _Lines:
    """Splits a byte stream into lines; of a line redrawn with carriage returns (progress bar), the last state."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield the lines that the data completes, without empty ones; empty data means the end of the stream."""
        *whole, self._rest = (self._rest + (data or b"\n")).split(b"\n")
        for line in whole:
            text = line.decode("utf-8", errors="replace").rstrip().rpartition("\r")[2]
            if text:
                yield text


def _close(process: subprocess.Popen[bytes]) -> None:
    streams: list[IO[bytes] | None] = [process.stdout, process.stderr]
    for stream in streams:
        if stream is not None:
            stream.close()
