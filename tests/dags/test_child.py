"""A stage's process: its lines arrive as they come, and nothing of it survives its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from steel_training_airflow.child import ChildProcess

ENV = {"PATH": os.defpath}


def python(source: str) -> list[str]:
    return [sys.executable, "-u", "-c", source]


def alive(pid: int) -> bool:
    """Says whether a process runs; a zombie that nobody reaps does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, within: float = 300.0) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


def wait_for(path: Path) -> str:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if path.exists() and path.read_text().strip():
            return path.read_text().strip()
        time.sleep(0.02)
    raise TimeoutError(path)


def test_lines_arrive_while_the_command_runs(tmp_path: Path) -> None:
    """The command goes on only when its first line has been seen."""
    seen: list[str] = []
    source = (
        f"import pathlib, sys, time\nprint('epoch 1', file=sys.stderr)\n"
        f"while not pathlib.Path({str(tmp_path / 'seen')!r}).exists(): time.sleep(0.01)\n"
        "print('epoch 2', file=sys.stderr)\nprint('{}')"
    )

    def on_line(line: str) -> None:
        seen.append(line)
        (tmp_path / "seen").touch()

    assert ChildProcess(python(source), ENV).run(on_line) == (0, "{}")
    assert seen == ["epoch 1", "epoch 2"]


def test_last_line_of_stdout_is_the_answer() -> None:
    seen: list[str] = []
    source = "import sys\nprint('hello')\nprint('{\"a\": 1}')\nprint()\nprint('bye', file=sys.stderr)"
    code, last = ChildProcess(python(source), ENV).run(seen.append)
    assert (code, last) == (0, '{"a": 1}')
    assert sorted(seen) == ["bye", "hello"]


def test_redrawn_line_is_shown_in_its_last_state() -> None:
    seen: list[str] = []
    source = "import sys\nsys.stderr.write('1/3\\r2/3\\r3/3\\n'); sys.stderr.write('caf\\u00e9 no newline')"
    ChildProcess(python(source), {**ENV, "PYTHONIOENCODING": "utf-8"}).run(seen.append)
    assert seen == ["3/3", "café no newline"]


def test_megabytes_of_output_do_not_block() -> None:
    count = 0

    def on_line(_: str) -> None:
        nonlocal count
        count += 1

    source = "import sys\nfor i in range(20000): print('x' * 100); print('y' * 100, file=sys.stderr)\nprint('end')"
    assert ChildProcess(python(source), ENV).run(on_line) == (0, "end")
    assert count == 40000


@pytest.mark.parametrize(("source", "code"), [("raise SystemExit(4)", 4), ("import os; os.kill(os.getpid(), 9)", -9)])
def test_exit_code_is_that_of_the_command(source: str, code: int) -> None:
    assert ChildProcess(python(source), ENV).run(lambda _: None) == (code, "")


# Whoever waits for one of this family to end by itself does not return before pytest's own limit.
FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN) if {stubborn} else None
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])
open({path!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')
time.sleep({seconds})
"""


@pytest.mark.parametrize("stubborn", [False, True])
def test_terminate_ends_stubborn_grandchildren(tmp_path: Path, stubborn: bool) -> None:
    path = tmp_path / "pids"
    child = ChildProcess(python(FAMILY.format(stubborn=stubborn, path=str(path), seconds=3600)), ENV)
    pids: list[int] = []

    def stop() -> None:
        pids.extend(map(int, wait_for(path).split()))
        child.terminate()

    thread = threading.Thread(target=stop)
    thread.start()
    code, _ = child.run(lambda _: None)
    thread.join()
    assert child.terminated
    assert code in (-signal.SIGTERM, -signal.SIGKILL)
    assert all(gone(pid) for pid in pids)


def test_processes_left_running_are_ended(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    source = FAMILY.format(stubborn=False, path=str(path), seconds=0) + "\nprint('{}')"
    assert ChildProcess(python(source), ENV).run(lambda _: None) == (0, "{}")
    assert gone(int(path.read_text().split()[1]))


def test_exception_in_the_caller_ends_the_command(tmp_path: Path) -> None:
    path = tmp_path / "pids"

    def fail(_: str) -> None:
        raise TimeoutError("execution_timeout")

    family = FAMILY.format(stubborn=False, path=str(path), seconds=0)
    source = family + "print('hello', flush=True)\nprint('again', flush=True)\ntime.sleep(3600)"
    with pytest.raises(TimeoutError):
        ChildProcess(python(source), ENV).run(fail)
    assert all(gone(int(pid)) for pid in path.read_text().split())


def test_killing_the_caller_ends_the_command(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    inner = FAMILY.format(stubborn=True, path=str(path), seconds=3600)
    caller = (
        "import sys\nfrom steel_training_airflow.child import ChildProcess\n"
        f"ChildProcess([sys.executable, '-c', {inner!r}], {{}}).run(print)"
    )
    plugins = str(Path(__file__).resolve().parents[2] / "plugins")
    process = subprocess.Popen([sys.executable, "-c", caller], env={**ENV, "PYTHONPATH": plugins})
    pids = [int(pid) for pid in wait_for(path).split()]
    assert all(alive(pid) for pid in pids)
    process.kill()
    process.wait()
    assert all(gone(pid) for pid in pids)
