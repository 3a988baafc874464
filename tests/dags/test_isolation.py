"""A stage cannot read what the processes that started it know: not their environment, not their memory. The rest it can."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import structlog
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from steel_training_airflow import isolated
from steel_training_airflow.child import ChildProcess, NotIsolated
from steel_training_airflow.operators import StageOperator, stage_environment

from steel_training.runs.result import STAGES

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = str(ROOT / "plugins")
ENV = {"PATH": os.defpath}
NOBODY: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}

# What a stage's code might do: everything that leads to what another process knows.
SPY = """
import ctypes, json, os
sought = b"planted" + b"-secret"
libc, found = ctypes.CDLL(None, use_errno=True), []
ancestors, pid = [], os.getppid()
while pid > 1:
    ancestors.append(pid)
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
for pid in [name for name in os.listdir("/proc") if name.isdigit() and name != str(os.getpid())]:
    try:
        if sought in open(f"/proc/{pid}/environ", "rb").read():
            found.append("environ of " + ("an ancestor" if int(pid) in ancestors else "another"))
    except OSError:
        pass
for pid in ancestors:
    for way in ("mem", "auxv", "maps"):
        try:
            if open(f"/proc/{pid}/{way}", "rb", buffering=0).read(0 if way == "mem" else 1) is not None:
                found.append(way)
        except OSError:
            pass
    if libc.ptrace(16, pid, None, None) == 0:  # PTRACE_ATTACH
        os.waitpid(pid, 0x40000000)
        libc.ptrace(17, pid, None, None)
        found.append("ptrace")
print(json.dumps({"ancestors": len(ancestors), "found": sorted(set(found))}))
"""

# A worker, its supervisor and a task, each with a secret of its own.
WORKER = """
import os, subprocess, sys
if sys.argv[1] != "0":
    command = [sys.executable, "-c", os.environ["WORKER"], str(int(sys.argv[1]) - 1)]
    sys.exit(subprocess.run(command, env={**os.environ, "FERNET_KEY": "planted-secret-" + sys.argv[1]}).returncode)
from steel_training_airflow.child import ChildProcess
print(ChildProcess([sys.executable, "-c", os.environ["SPY"]], {"PATH": os.defpath}).run(print)[1])
"""


def seen_by_a_stage(worker: str = WORKER, python: str = sys.executable, **options: Any) -> dict[str, Any]:
    env = {**ENV, "PYTHONPATH": PLUGINS, "WORKER": worker, "SPY": SPY, "SQL_ALCHEMY_CONN": "planted-secret"}
    command = [python, "-c", worker, "2"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, cwd="/", **options)
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert seen["ancestors"] >= 3
    return seen


def test_no_secret_of_an_ancestor_is_readable() -> None:
    assert seen_by_a_stage()["found"] == []


def test_spy_finds_the_secret_without_isolation() -> None:
    """Else the tests beside this one would pass whatever a stage can read."""
    plain = WORKER.replace("from steel_training_airflow.child import ChildProcess\n", "").replace(
        """print(ChildProcess([sys.executable, "-c", os.environ["SPY"]], {"PATH": os.defpath}).run(print)[1])""",
        """subprocess.run([sys.executable, "-c", os.environ["SPY"]], env={"PATH": os.defpath})""",
    )
    assert {"environ of an ancestor", "mem", "maps"} <= set(seen_by_a_stage(plain)["found"])


BY_ONE_MEANS = """
import os, subprocess, sys
if sys.argv[1] != "0":
    command = [sys.executable, "-c", os.environ["WORKER"], str(int(sys.argv[1]) - 1)]
    sys.exit(subprocess.run(command, env={**os.environ, "FERNET_KEY": "planted-secret-" + sys.argv[1]}).returncode)
if os.fork() == 0:
    from steel_training_airflow import isolated
    isolated.MEANS
    os.execve(sys.executable, [sys.executable, "-c", os.environ["SPY"]], {"PATH": os.defpath})
os.wait()
"""


def python_of(user: dict[str, Any]) -> str:
    """An interpreter that the user may execute; the stages' own may lie in root's home."""
    for each in (sys.executable, "/usr/bin/python3"):
        try:
            subprocess.run([each, "-c", ""], cwd="/", check=True, **user)
        except OSError:
            continue
        return each
    pytest.skip("no Python interpreter that an unprivileged user may execute")


@pytest.mark.parametrize("user", [{}, NOBODY], ids=["the tests' user", "an unprivileged user"])
@pytest.mark.parametrize("means", ["by_landlock()", "by_landlock(2)", "by_user_namespace()"])
def test_each_means_is_enough_by_itself(means: str, user: dict[str, Any]) -> None:
    """Linux 6.12, Linux 5.19, and a kernel without Landlock."""
    python = python_of(user)
    probe = [python, "-c", f"from steel_training_airflow import isolated; isolated.{means}"]
    tried = subprocess.run(probe, env={**ENV, "PYTHONPATH": PLUGINS}, capture_output=True, text=True, cwd="/", **user)
    if tried.returncode:
        pytest.skip(f"not offered to this user: {tried.stderr.splitlines()[-1]}")
    assert seen_by_a_stage(BY_ONE_MEANS.replace("MEANS", means), python, **user)["found"] == []


@pytest.mark.parametrize("version", [2, 99])
def test_files_and_devices_stay_reachable(tmp_path: Path, version: int) -> None:
    """What TensorFlow and the store do with files: create, move between folders, link, replace; and devices open."""
    source = f"""
import os, socket
from steel_training_airflow import isolated
isolated.by_landlock({version})
os.chdir({str(tmp_path)!r})
os.makedirs("variables/temp/deep"); os.makedirs("other")
open("variables/temp/deep/part", "w").write("weights")
os.rename("variables/temp/deep/part", "variables/part")
os.link("variables/part", "other/linked"); os.replace("other/linked", "part"); os.rename("variables", "other/variables")
open("/dev/null", "wb").write(b"x"); open("/dev/shm/steel-training-{os.getpid()}", "w").close()
os.remove("/dev/shm/steel-training-{os.getpid()}")
a, b = socket.socketpair(); a.sendall(b"x"); socket.create_server(("127.0.0.1", 0)).close()
if os.fork() == 0:
    os.kill(os.getpid(), 9)
print(os.wait()[1], open("/proc/self/environ").read() != "")
"""
    done = subprocess.run(
        [sys.executable, "-c", source], env={**ENV, "PYTHONPATH": PLUGINS}, capture_output=True, text=True
    )
    if "OSError" in done.stderr and "isolated.by_landlock" in done.stderr:
        pytest.skip("this kernel has no Landlock")
    assert (done.stdout, done.stderr) == ("9 True\n", "")
    assert (tmp_path / "part").read_text() == "weights"


def test_real_stages_work_in_isolation(tmp_path: Path) -> None:
    """Read a dataset, profile it in processes of their own, write the store."""
    env = {**stage_environment(os.environ, "train_head"), "PYTHONPATH": str(ROOT), "PATH": os.defpath}
    store = ["--run-id", "isolated", "--store", str(tmp_path / "store")]
    data = str(tmp_path / "data" / "2026-11-25")
    sample = ["sample", data, "--coils", "10", "--patch", "32"]
    for command in (sample, ["resolve_dataset", *store, "--dataset", data], ["profile_patches", *store]):
        lines: list[str] = []
        child = ChildProcess([sys.executable, "-m", "steel_training", *command], env, isolation_required=True)
        code, last = child.run(lines.append)
        assert code == 0, lines
    profiled = json.loads(last)
    assert profiled["status"] == "done"
    assert profiled["outputs"]["patches"] >= 1000, "fewer are profiled in the stage's own process"
    assert (tmp_path / "store/runs/isolated/profile_patches/result.json").exists()


def test_command_starts_as_if_nothing_stood_before_it(tmp_path: Path) -> None:
    """Own process id in its own group, no descriptor more, and the signals that Python ignores are not ignored."""
    source = (
        "import os, signal\nstatus = open('/proc/self/status').read()\n"
        "print(os.getpid() == os.getpgrp(), sorted(os.listdir('/proc/self/fd')), dict(os.environ))"
    )
    child = ChildProcess([sys.executable, "-c", source], {**ENV, "LC_ALL": "C.UTF-8"})
    _, last = child.run(lambda _: None)
    # Descriptor 3 is the folder being listed.
    assert last == "True ['0', '1', '2', '3'] " + str({**ENV, "LC_ALL": "C.UTF-8"})
    _, ignored = ChildProcess(["/bin/grep", "SigIgn", "/proc/self/status"], ENV).run(lambda _: None)
    # What ignores a signal for all that it starts, as nohup does, ignores it for the command too.
    inherited = re.search(r"SigIgn:\s*(\w+)", Path("/proc/self/status").read_text())
    assert inherited is not None
    pythons = sum(1 << number - 1 for number in (signal.SIGPIPE, signal.SIGXFSZ))
    assert int(ignored.split()[1], 16) == int(inherited[1], 16) & ~pythons


@pytest.mark.parametrize(("command", "error"), [("nothing-here", FileNotFoundError), ("/etc/passwd", PermissionError)])
def test_command_that_cannot_start_is_an_error(command: str, error: type[OSError]) -> None:
    with pytest.raises(error) as raised:
        ChildProcess([command], ENV).run(lambda _: None)
    assert raised.value.filename == command


def in_an_old_container(function: Callable[[], Any]) -> Any:
    """Call a function in a thread whose processes get neither Landlock nor user namespaces, by a filter of system calls."""
    unshare = {"x86_64": 272, "aarch64": 97}[platform.machine()]
    load, equal, answer = 0x20, 0x15, 0x06
    program = [(load, 0, 0, 0), (equal, 2, 0, 444), (equal, 1, 0, unshare), (answer, 0, 0, 0x7FFF0000)]
    program.append((answer, 0, 0, 0x00050000 | 1))  # EPERM
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    head = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))

    def filtered() -> Any:
        libc = ctypes.CDLL(None, use_errno=True)
        zero = ctypes.c_ulong(0)
        assert libc.prctl(38, ctypes.c_ulong(1), zero, zero, zero) == 0
        assert libc.prctl(22, ctypes.c_ulong(2), ctypes.c_char_p(head), zero, zero) == 0
        return function()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(filtered).result()


def test_missing_isolation_is_said_once_and_the_stage_runs() -> None:
    warned: list[str] = []
    child = ChildProcess([sys.executable, "-c", "print('{}')"], ENV, warn=warned.append)
    assert in_an_old_container(lambda: child.run(lambda _: None)) == (0, "{}")
    assert len(warned) == 1
    assert "can read the environment and memory of Airflow's processes" in warned[0]
    assert isolated.LANDLOCK in warned[0]
    assert isolated.USER_NAMESPACE in warned[0]
    assert "STEEL_TRAINING_ISOLATION=required" in warned[0]


def test_command_does_not_start_where_isolation_is_required(tmp_path: Path) -> None:
    child = ChildProcess(["/bin/touch", str(tmp_path / "started")], ENV, isolation_required=True)
    with pytest.raises(NotIsolated, match="Linux 5.19 or later with Landlock"):
        in_an_old_container(lambda: child.run(lambda _: None))
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("required", [False, True])
def test_task_warns_or_fails_as_the_site_has_set(
    required: bool,
    stage_program: Callable[[str], None],
    store: Path,
    context: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage_program("print(json.dumps({'status': 'done', 'outputs': {}}))")
    monkeypatch.setenv("STEEL_TRAINING_ISOLATION", "required" if required else "preferred")
    with DAG("line", schedule=None):
        task = StageOperator(task_id="train_head")
    entries: list[MutableMapping[str, Any]]
    with structlog.testing.capture_logs() as entries:
        if required:
            with pytest.raises(AirflowFailException, match="Linux 5.19 or later with Landlock"):
                in_an_old_container(lambda: task.execute(context()))
        else:
            in_an_old_container(lambda: task.execute(context()))
    warned = [entry["event"] for entry in entries if "environment and memory" in entry["event"]]
    assert len(warned) == (0 if required else 1)


def test_addresses_of_notifications_are_not_passed_on() -> None:
    """They may contain passwords, and no stage notifies."""
    passed = stage_environment(
        {"STEEL_TRAINING_NOTIFY": "mailto://mill@mail?pass=planted", "STEEL_TRAINING_STORE": "/s"}, "train_head"
    )
    assert passed.keys() == {"STEEL_TRAINING_STORE", "PYTHONUNBUFFERED"}


def test_only_publishing_is_told_of_the_signing_key() -> None:
    site = {
        "STEEL_TRAINING_SIGNING_KEY": "/keys/signing-key.pem",
        "STEEL_TRAINING_TRUSTED_KEYS": "/keys/trusted-key.pem",
    }
    told = {stage for stage in STAGES if "STEEL_TRAINING_SIGNING_KEY" in stage_environment(site, stage)}
    assert told == {"publish_model"}
    assert "STEEL_TRAINING_TRUSTED_KEYS" in stage_environment(site, "evaluate")
