"""A real Airflow of the tests' own: scheduler, DAG processor, triggerer and API server, LocalExecutor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow_home import DAG_ID, AirflowHome
from nights import NO_NIGHT
from own_ports import own_port
from playwright.sync_api import Browser, sync_playwright
from standalone import Standalone

ROOT = Path(__file__).parents[2]

MILL = {
    "data": {"input_size": 96},
    "baseline": {"min_steps": 60, "input_size": 32},
    "model": {"weights": "steel"},
    "training": {"views": 2, "head": {"epochs": 8, "learning_rate": 0.003}, "fine_tune": {"epochs": 0}},
    "gate": {"recall": 0.8, "precision": 0.5, "f2": 0.7, "auc": 0.8, "resamples": 100},
}
"""A minute of training on two dozen drawn strips, and targets to match; the demo meets the LOCKED ones."""


class Mill:
    """A mill: its dated datasets, its store, and the Airflow that retrains its detector, once it is started."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.dataset, self.store = folder / "strip", folder / "home" / "store"
        (folder / "mill.yaml").write_text(yaml.safe_dump(MILL), encoding="utf-8")
        self.home = AirflowHome(folder / "home")
        self.home.prepare()
        self._own = {
            "STEEL_TRAINING_DATASET": str(self.dataset),
            "STEEL_TRAINING_CONFIG": str(folder / "mill.yaml"),
            "STEEL_TRAINING_SCRATCH": str(folder / "scratch"),
            "STEEL_TRAINING_WATCH_SECONDS": "2",
            **NO_NIGHT,
            **environment,
        }
        self.environment = {**self.home.environment(), **self._own}
        self.airflow: Standalone
        self.token = ""

    def start(self) -> None:
        """Starts scheduler, DAG processor, triggerer and API server, and logs in."""
        logs = ("AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT", "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT")
        self.airflow = Standalone(self.home, own_port(), {**{name: str(own_port()) for name in logs}, **self._own})
        self.environment = self.airflow.environment
        self.token = self.airflow.wait_until_ready()

    def stop(self) -> None:
        """Ends what was started."""
        if hasattr(self, "airflow"):
            self.airflow.stop()

    def add_version(self, day: str, seed: int, coils: int = 12) -> Path:
        """Draws a version; it is there whole or not at all."""
        version = self.dataset / day
        command = [sys.executable, "-m", "steel_training", "sample", str(version), "--seed", str(seed)]
        command += ["--coils", str(coils), "--photographs-per-coil", "2"]
        subprocess.run(command, check=True, capture_output=True)
        return version

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """Asks Airflow's API, below `/api/v2`."""
        method = method or ("POST" if body is not None else "GET")
        return self.airflow.ask(f"/api/v2{path}", self.token, method=method, body=body)

    def switch_on(self, dag_id: str) -> None:
        """Takes the pause from a DAG."""
        self.ask(f"/dags/{dag_id}", {"is_paused": False}, "PATCH")

    def command(self, *words: str) -> str:
        """Runs an `airflow` command as an operator of the mill would."""
        done = subprocess.run(["airflow", *words], env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def runs(self, **having: str) -> list[dict[str, Any]]:
        """Returns the runs of the training that have the given properties, oldest first."""
        found = self.ask(f"/dags/{DAG_ID}/dagRuns?limit=100&order_by=run_after")["dag_runs"]
        return [run for run in found if all(run[name] == value for name, value in having.items())]

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Returns the task instances of a run by task id."""
        listed = self.ask(f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"]
        return {task["task_id"]: task for task in listed}

    def wait(self, found: Any, seconds: float, what: str) -> Any:
        """Waits until `found()` is something, and returns it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if value := found():
                return value
            time.sleep(1)
        pytest.fail(f"{what}: not within {seconds} s; Airflow's log is {self.home.log}")

    def wait_for_end(self, run_id: str, seconds: float = 600) -> dict[str, Any]:
        """Waits until a run has ended and returns it."""
        path = f"/dags/{DAG_ID}/dagRuns/{run_id}"
        ended = self.wait(lambda: (run := self.ask(path))["state"] in ("success", "failed") and run, seconds, run_id)
        return dict(ended)

    def decisions(self) -> list[dict[str, Any]]:
        """Returns the verdicts of the registry, oldest first."""
        files = (self.store / "models" / "steel-defects" / "decisions").glob("*.json")
        return sorted((json.loads(file.read_text()) for file in files), key=lambda each: each["decided_at"])

    def champion(self) -> str | None:
        """Returns the champion's version."""
        pointer = self.store / "models" / "steel-defects" / "champion.json"
        return json.loads(pointer.read_text())["version"] if pointer.exists() else None


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of what is committed and changed here: what a command makes below `var/` is the test's own."""
    clone = tmp_path_factory.mktemp("clone") / "steel-training"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    return clone


@pytest.fixture(scope="module")
def start_mill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Mill]]:
    """Starts a mill's Airflow with further variables in its environment; it is ended after the module."""
    started: list[Mill] = []

    def start(**environment: str) -> Mill:
        mill = Mill(tmp_path_factory.mktemp("mill"), environment)
        started.append(mill)
        mill.start()
        return mill

    yield start
    for mill in started:
        mill.stop()


@pytest.fixture(scope="module")
def rest_mill(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Mill]:
    """Prepares a mill's Airflow with further variables in its environment, and does not start it: for commands that need no scheduler."""

    def prepare(**environment: str) -> Mill:
        return Mill(tmp_path_factory.mktemp("mill"), environment)

    return prepare


@pytest.fixture(scope="module")
def mill_at_rest(rest_mill: Callable[..., Mill]) -> Mill:
    """A mill whose Airflow is prepared and not started."""
    return rest_mill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium without a window, which fetches nothing by itself."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=quiet)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for pictures: with `STEEL_TRAINING_SCREENSHOTS=docs` those of the documentation are taken anew."""
    chosen = os.environ.get("STEEL_TRAINING_SCREENSHOTS")
    return Path(chosen).absolute() if chosen else tmp_path_factory.mktemp("shots")
