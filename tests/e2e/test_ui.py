"""`make ui`: the real scheduler runs what the API triggers, on the sample dataset."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
QUICK = {
    "model.weights": "none",
    "data.input_size": 32,
    "baseline.epochs": 1,
    "baseline.min_steps": 150,
    "training.views": 1,
    "training.head.epochs": 1,
    "training.fine_tune.epochs": 0,
    "gate.resamples": 100,
}


class Ui:
    """A running `make ui`, and its API."""

    def __init__(self, said: str) -> None:
        found = re.search(r"Airflow:\s+(http://127\.0\.0\.1:\d+)/", said)
        password = re.search(r"password:\s+(\S+)", said)
        store = re.search(r"store:\s+(\S+)", said)
        assert found is not None
        assert password is not None
        assert store is not None
        self.address, self.store = found[1], Path(store[1])
        login = {"username": "admin", "password": password[1]}
        self.token = ""
        self.token = self.ask("/auth/token", login)["access_token"]

    def ask(self, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.address}{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def ui() -> Iterator[Ui]:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "ui.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    said = ""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said += line
            if "Ctrl-C ends it" in line:
                break
        else:
            pytest.fail(said)
        yield Ui(said)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_run_triggered_by_a_person_ends_in_a_verdict(ui: Ui) -> None:
    dag = ui.ask("/api/v2/dags/steel_training")
    assert dag["is_paused"] is False
    run = ui.ask(
        "/api/v2/dags/steel_training/dagRuns", {"logical_date": None, "conf": {**QUICK, "publish.force": True}}
    )
    path = f"/api/v2/dags/steel_training/dagRuns/{run['dag_run_id']}"
    until = time.monotonic() + 1200
    while (state := ui.ask(path)["state"]) not in ("success", "failed") and time.monotonic() < until:
        time.sleep(5)
    tasks = {t["task_id"]: t["state"] for t in ui.ask(f"{path}/taskInstances")["task_instances"]}
    assert state == "success", tasks
    ended = {"publish_model", "reject_model"}
    assert sorted(tasks[task] for task in ended) == ["skipped", "success"], "one branch is taken, the other is not"
    assert all(state == "success" for task, state in tasks.items() if task not in ended)
    folders = [f for f in (ui.store / "runs").iterdir() if (f / "decide").is_dir()]
    newest = max(folders, key=lambda folder: folder.stat().st_mtime)
    assert (newest / "report.html").stat().st_size > 50_000


@pytest.mark.slow
def test_a_value_out_of_range_is_refused_before_a_run_starts(ui: Ui) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ui.ask("/api/v2/dags/steel_training/dagRuns", {"logical_date": None, "conf": {"gate.recall": 1.7}})
    assert refused.value.code in (400, 422)
    assert "gate.recall" in refused.value.read().decode()
