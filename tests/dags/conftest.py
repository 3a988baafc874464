"""An Airflow home of the tests' own, set before anything imports Airflow, and stages made of small real programs."""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
import textwrap
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for _name in [name for name in os.environ if name.startswith(("AIRFLOW", "STEEL_TRAINING"))]:
    del os.environ[_name]
_HOME = tempfile.TemporaryDirectory(prefix="steel-training-airflow-")
os.environ |= {
    "AIRFLOW_HOME": _HOME.name,
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
}

import pytest  # noqa: E402 - Airflow's settings are read at its first import


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store that the operators find in their environment."""
    monkeypatch.setenv("STEEL_TRAINING_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def stage_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a Python program in the place of the interpreter that runs the stages; it sees its arguments in `argv`."""

    def install(source: str) -> None:
        program = tmp_path / "python"
        head = f"#!{sys.executable}\nimport json, os, signal, subprocess, sys, time\nargv = sys.argv[1:]\n"
        program.write_text(head + textwrap.dedent(source), encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("STEEL_TRAINING_PYTHON", str(program))

    return install


class AssetState(dict[str, Any]):
    """An asset's state store, as a task sees it."""

    def set(self, key: str, value: Any) -> None:
        assert value is not None
        self[key] = value


@pytest.fixture
def asset_state() -> type[AssetState]:
    """Makes an asset's state store from what it holds."""
    return AssetState


class Recorder:
    """The task instance's part that operators use: keeps what was pushed, as JSON, as Airflow would."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = json.loads(json.dumps(value, allow_nan=False))


def make_context(run_type: str = "manual", logical_date: datetime | None = None, **params: Any) -> dict[str, Any]:
    """What a task knows of its run."""
    from airflow.sdk.api.datamodels._generated import DagRunType  # what a worker is sent

    return {
        "run_id": "manual__2026-11-24T00:10:00+00:00",
        "ti": Recorder(),
        "params": params,
        "dag_run": SimpleNamespace(run_type=DagRunType(run_type), logical_date=logical_date, conf={}),
        "outlet_events": {},
    }


@pytest.fixture
def context() -> Callable[..., dict[str, Any]]:
    """Builds contexts of runs."""
    return make_context
