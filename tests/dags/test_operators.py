"""How a stage ends decides how its task ends. The stages are small real programs."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from airflow.sdk import DAG, Asset
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
    DownstreamTasksSkipped,
)
from airflow.sdk.execution_time.timeout import timeout
from steel_training_airflow.operators import MOST, DecideOperator, StageOperator, stage_environment

from steel_training.runs.result import folder_of

ContextOf = Callable[..., dict[str, Any]]
Install = Callable[[str], None]
Log = list[MutableMapping[str, Any]]

REASONS = [{"code": "data.unique_ids", "message": "3 patch ids stand twice: a, b, c."}]


@pytest.fixture
def task_log() -> Iterator[Log]:
    """The entries of the task's log."""
    with structlog.testing.capture_logs() as entries:
        yield entries


def result(stage: str, status: str = "done", reasons: Any = (), **outputs: Any) -> str:
    content = {"stage": stage, "status": status, "reasons": list(reasons), "outputs": outputs, "seconds": 0.1}
    return f"print({json.dumps(json.dumps(content))})\n"


def operator(stage: str = "train_head", **options: Any) -> StageOperator:
    with DAG("line", schedule=None):
        return StageOperator(task_id=stage, **options)


def test_command_can_be_typed_by_hand(
    stage_program: Install, store: Path, context: ContextOf, tmp_path: Path, task_log: Log
) -> None:
    stage_program(f"open({str(tmp_path / 'seen')!r}, 'w').write(json.dumps(argv))\n" + result("resolve_dataset"))
    task = operator("resolve_dataset", arguments=lambda _: ["--dataset", "/data/coil 7", "--set", "model.weights='x'"])
    task.execute(context())
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen[:3] == ["-m", "steel_training", "resolve_dataset"]
    assert re.fullmatch(r"manual__2026-11-24T00-10-00-00-00-[0-9a-f]{8}", seen[4])
    assert seen[3::2][:2] == ["--run-id", "--store"]
    assert seen[5:] == ["--store", str(store), "--dataset", "/data/coil 7", "--set", "model.weights='x'"]
    logged = next(entry["event"] for entry in task_log if entry["event"].startswith("Running: "))
    assert shlex.split(logged.removeprefix("Running: "))[1:] == seen


def test_task_log_has_the_lines_but_not_the_result(
    stage_program: Install, store: Path, context: ContextOf, task_log: Log
) -> None:
    stage_program("print('train_head  epoch 1/20', file=sys.stderr)\n" + result("train_head", epochs=20))
    operator().execute(context())
    events = [entry["event"] for entry in task_log]
    assert "train_head  epoch 1/20" in events
    assert not any('"outputs"' in event for event in events)


def test_finished_stage_pushes_small_outputs_only(stage_program: Install, store: Path, context: ContextOf) -> None:
    outputs = {"epochs": 5, "best": 0.9, "random": False, "history": {"loss": [1.0] * 500}, "page": "x" * 5000}
    outputs["figures"] = small = {"recall": {"value": 0.97, "bound": 0.94, "target": 0.95}}
    stage_program(result("train_head", **outputs))
    seen = context()
    task = operator()
    task.execute(seen)
    pushed = seen["ti"].pushed["return_value"]
    assert pushed["status"] == "done"
    assert pushed["outputs"] == {"epochs": 5, "best": 0.9, "random": False, "figures": small}
    assert len(json.dumps(pushed)) < 1000


@pytest.mark.parametrize(
    ("ending", "error", "retried"),
    [
        (result("x", "blocked", REASONS) + "sys.exit(4)", "data.unique_ids: 3 patch ids stand twice", False),
        (result("x", "blocked", REASONS) + "sys.exit(5)", "data.unique_ids: 3 patch ids stand twice", False),
        (result("evaluate", "refused", REASONS) + "sys.exit(3)", r"REJECTED.*\n.*3 patch ids stand twice", False),
        ("print('no dataset: say --dataset', file=sys.stderr)\nsys.exit(2)", "say --dataset", False),
        ("print('S3 is gone', file=sys.stderr)\nsys.exit(1)", r"exit 1\)\.\nS3 is gone", True),
        ("sys.stdout.flush()\nos.kill(os.getpid(), 9)", "out of memory", True),
        ("os.kill(os.getpid(), 11)", "ended by signal 11", True),
        ("print('done')", "without a result", True),
        ("print(json.dumps({'status': 'done', 'outputs': {'auc': float('nan')}}))", "without a result", True),
        ("", "without a result", True),
    ],
)
def test_only_transient_failures_are_retried(
    stage_program: Install, store: Path, context: ContextOf, ending: str, error: str, retried: bool
) -> None:
    stage_program(ending)
    with pytest.raises(AirflowException, match=error) as caught:
        operator().execute(context())
    assert isinstance(caught.value, AirflowFailException) is not retried


def test_blocked_stage_pushes_its_reasons(stage_program: Install, store: Path, context: ContextOf) -> None:
    stage_program(result("validate_patches", "blocked", REASONS) + "sys.exit(4)")
    seen = context()
    with pytest.raises(AirflowFailException):
        operator("validate_patches").execute(seen)
    assert seen["ti"].pushed["return_value"]["reasons"] == REASONS


def test_rejection_succeeds_with_a_warning(
    stage_program: Install, store: Path, context: ContextOf, task_log: Log
) -> None:
    reasons = [{"code": "gate.recall", "message": "recall 0.91 is below its target 0.95"}]
    stage_program(result("reject_model", reasons=reasons, verdict="rejected") + "sys.exit(3)")
    operator("reject_model").execute(context())
    warned = [entry["event"] for entry in task_log if entry["log_level"] == "warning"]
    assert any("REJECTED" in text and "recall 0.91 is below its target 0.95" in text for text in warned)


def test_unchanged_run_is_skipped(stage_program: Install, store: Path, context: ContextOf) -> None:
    stage_program(result("resolve_dataset", "unchanged"))
    with pytest.raises(AirflowSkipException):
        operator("resolve_dataset").execute(context())


def test_publish_fills_the_event_of_its_asset(stage_program: Install, store: Path, context: ContextOf) -> None:
    from airflow.sdk.execution_time.context import OutletEventAccessors

    stage_program(result("publish_model", version="20261124-0a1b2c3d", verdict="published"))
    model = Asset("model")
    seen = {**context(), "outlet_events": OutletEventAccessors()}
    operator("publish_model", outlets=[model]).execute(seen)
    assert seen["outlet_events"][model].extra["outputs"]["version"] == "20261124-0a1b2c3d"


def test_missing_store_names_the_variable(monkeypatch: pytest.MonkeyPatch, context: ContextOf) -> None:
    monkeypatch.delenv("STEEL_TRAINING_STORE", raising=False)
    with pytest.raises(AirflowFailException, match="STEEL_TRAINING_STORE"):
        operator().execute(context())


def test_missing_interpreter_is_named(monkeypatch: pytest.MonkeyPatch, store: Path, context: ContextOf) -> None:
    monkeypatch.setenv("STEEL_TRAINING_PYTHON", "/nowhere/python")
    with pytest.raises(AirflowFailException, match="/nowhere/python"):
        operator().execute(context())


def test_stage_gets_no_airflow_secret(
    stage_program: Install, store: Path, context: ContextOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database = "postgresql://airflow:hunter2@db/airflow"  # pragma: allowlist secret
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", database)
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", "hunter2")
    monkeypatch.setenv("SOME_TOKEN", "hunter2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store:9000")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    stage_program(f"open({str(tmp_path / 'env')!r}, 'w').write(json.dumps(dict(os.environ)))\n" + result("train_head"))
    operator().execute(context())
    seen = json.loads((tmp_path / "env").read_text())
    assert "hunter2" not in json.dumps(seen)
    assert not [name for name in seen if name.startswith("AIRFLOW") or name == "PYTHONPATH"]
    assert seen["AWS_ENDPOINT_URL"] == "http://store:9000"
    assert seen["CUDA_VISIBLE_DEVICES"] == "1"
    assert seen["STEEL_TRAINING_STORE"] == str(store)
    assert {"PATH", "HOME"} <= set(seen)


def test_environment_keeps_network_and_gpu_settings() -> None:
    needed = {"https_proxy": "p", "SSL_CERT_FILE": "c", "LD_LIBRARY_PATH": "l", "TF_CONFIG": "{}", "LANG": "C.UTF-8"}
    assert needed.items() <= stage_environment({**needed, "PIP_INDEX_URL": "x"}, "train_head").items()
    assert "PIP_INDEX_URL" not in stage_environment({"PIP_INDEX_URL": "x"}, "train_head")


@pytest.mark.parametrize("exit_code", [0, 1])
def test_killed_task_never_succeeds(
    stage_program: Install,
    store: Path,
    context: ContextOf,
    tmp_path: Path,
    exit_code: int,
    wait_until: Callable[..., Any],
) -> None:
    """Airflow's task runner calls on_kill from its SIGTERM handler, and goes on as if nothing had happened."""
    stage_program(
        f"def leave(*_):\n    {result('train_head')}    sys.stdout.flush(); os._exit({exit_code})\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(3600)\n"
    )
    task = operator()
    before = signal.signal(signal.SIGTERM, lambda *_: task.on_kill())

    def kill() -> None:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "a stage that works")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=kill).start()
    try:
        with pytest.raises(AirflowException, match="was stopped"):
            task.execute(context())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_timeout_ends_the_stage(
    stage_program: Install, store: Path, context: ContextOf, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    stage_program(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(3600)\n")

    def be_over() -> None:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "a stage that works")
        os.kill(os.getpid(), signal.SIGALRM)  # as Airflow's timer does

    threading.Thread(target=be_over).start()
    with pytest.raises(AirflowTaskTimeout), timeout(3600):
        operator().execute(context())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("outputs", "skipped"),
    [
        ({"publish": True}, {"approve_release", "reject_model"}),
        ({"publish": False}, {"approve_release", "publish_model"}),
        ({"publish": True, "require_approval": True}, set()),
        ({"publish": False, "require_approval": True}, {"approve_release", "publish_model"}),
    ],
)
def test_decision_chooses_the_branch(
    stage_program: Install, store: Path, context: ContextOf, outputs: dict[str, bool], skipped: set[str]
) -> None:
    with DAG("line", schedule=None):
        decide = DecideOperator(
            task_id="decide", accepted="publish_model", asked="approve_release", refused="reject_model"
        )
        ends = [StageOperator(task_id="publish_model"), StageOperator(task_id="reject_model")]
        decide >> StageOperator(task_id="approve_release") >> ends
        decide >> ends
    stage_program(result("decide", **outputs))
    seen = context()
    seen["ti"].task, seen["ti"].map_index = decide, -1
    if not skipped:
        # A person's answer will skip one of the ends. What a task returns would replace what its stage pushed.
        assert decide.execute(seen) is None
        assert seen["ti"].pushed["return_value"]["outputs"] == outputs
        return
    with pytest.raises(DownstreamTasksSkipped) as caught:
        decide.execute(seen)
    assert {task_id for task_id, _ in caught.value.tasks} == skipped
    assert isinstance(decide, SkipMixin)


@pytest.mark.parametrize("publish", [{}, {"publish": "yes"}, {"publish": None}])
def test_missing_decision_fails(
    stage_program: Install, store: Path, context: ContextOf, publish: dict[str, Any]
) -> None:
    with DAG("line", schedule=None):
        decide = DecideOperator(
            task_id="decide", accepted="publish_model", asked="approve_release", refused="reject_model"
        )
    stage_program(result("decide", **publish))
    with pytest.raises(AirflowException, match="publish"):
        decide.execute(context())


def test_what_travels_in_xcom_is_bounded(
    stage_program: Callable[[str], None], store: Path, context: Callable[..., Any]
) -> None:
    stage_program(
        """
        reasons = [{"code": "leak.group", "message": "p" * 3000 + str(n)} for n in range(5000)]
        outputs = {"verdict": "rejected", "version": None, "ids": ["p" * 30] * 500000}
        outputs |= {f"figure{n}": "x" * 500 for n in range(10000)}
        print(json.dumps({"stage": "reject_model", "status": "done", "reasons": reasons, "outputs": outputs, "seconds": 1}))
        """
    )
    seen = context()
    StageOperator(task_id="reject_model").execute(seen)
    pushed = seen["ti"].pushed["return_value"]
    assert len(json.dumps(pushed)) < 2 * MOST + 1000
    assert pushed["outputs"]["verdict"] == "rejected"
    assert len(pushed["reasons"]) + pushed["reasons_left_out"] == 5000
    assert pushed["reasons"][0]["message"].endswith("p0")


def test_a_run_named_like_anothers_folder_has_its_own(
    stage_program: Callable[[str], None], store: Path, context: Callable[..., Any], tmp_path: Path
) -> None:
    stage_program(f"open({str(tmp_path / 'asked')!r}, 'w').write(argv[4])\nprint(json.dumps({{'status': 'done'}}))")
    folders = []
    for run_id in ("manual__2026-11-24T00:10:00+00:00", folder_of("manual__2026-11-24T00:10:00+00:00")):
        StageOperator(task_id="train_head").execute({**context(), "run_id": run_id})
        folders.append((tmp_path / "asked").read_text())
    assert folders[0] != folders[1]
