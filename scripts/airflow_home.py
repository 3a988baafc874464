"""An Airflow installation below `var/` of the checkout, for `make demo` and `make ui`.

The caller's own Airflow is neither read nor written: every AIRFLOW variable is dropped, and the home, the SQLite
database and the store are folders of the checkout.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "var" / "sample"
DAG_ID = "steel_training"


def conf_of(configuration: Path, **further: Any) -> dict[str, Any]:
    """Return a configuration file as the `--conf` of a run: dotted keys, as in the params form."""
    return {**dict(_dotted(yaml.safe_load(configuration.read_text(encoding="utf-8")))), **further}


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


class PreparationFailed(Exception):
    """A command that prepares Airflow or the sample dataset failed; its output is in the named log."""


@dataclass(frozen=True)
class AirflowHome:
    """A folder that holds an Airflow, its log and the store of its runs."""

    folder: Path

    @property
    def store(self) -> Path:
        """The store of runs and models."""
        return self.folder / "store"

    @property
    def log(self) -> Path:
        """Airflow's own log."""
        return self.folder / "airflow.log"

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the environment of every Airflow command; settings as `section__key`, in lower case."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW", "PYTHON"))
        }
        defaults = {
            "core__dags_folder": str(ROOT / "dags"),
            "core__plugins_folder": str(ROOT / "plugins"),
            "core__load_examples": "False",
            "core__executor": "LocalExecutor",
            # Whoever finds the database locked while the scheduler writes waits for its turn; after SQLite's 5 s a command would fail.
            "database__sql_alchemy_conn": f"sqlite:///{self.folder}/airflow/airflow.db?timeout=120",
        }
        return {
            **kept,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            **{f"AIRFLOW__{name.upper()}": value for name, value in {**defaults, **settings}.items()},
            "STEEL_TRAINING_DATASET": str(SAMPLE),
            "STEEL_TRAINING_STORE": str(self.store),
            "STEEL_TRAINING_PYTHON": sys.executable,
        }

    def prepare(self) -> None:
        """Create the database and the pool, once per version of Airflow.

        Raises:
            PreparationFailed: a command of Airflow failed.
        """
        version = importlib.metadata.version("apache-airflow")
        done = self.folder / "airflow" / f".prepared-{version}"
        if done.exists():
            return
        done.parent.mkdir(parents=True, exist_ok=True)
        for command in (["db", "migrate"], ["pools", "set", "gpu", "1", "One training at a time on a GPU"]):
            self._do(["airflow", *command], "airflow " + " ".join(command[:2]))
        done.touch()

    def make_sample(self) -> bool:
        """Create the sample dataset if it is missing; return whether it was created."""
        if SAMPLE.exists():
            return False
        partial = SAMPLE.with_name(".sample-being-made")
        shutil.rmtree(partial, ignore_errors=True)
        command = [sys.executable, "-m", "steel_training", "sample", str(partial)]
        if subprocess.run(command, env=self.environment(), stdout=sys.stderr, check=False).returncode != 0:
            raise PreparationFailed("The sample dataset could not be made; see the messages above.")
        partial.rename(SAMPLE)
        return True

    def stop(self, process: subprocess.Popen[str]) -> None:
        """End an Airflow that was started in its own process group, with its child processes."""
        for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(patience)
                return

    def _do(self, command: list[str], what: str) -> None:
        with open(self.log, "ab") as log:
            ended = subprocess.run(command, env=self.environment(), stdout=log, stderr=log, check=False)
        if ended.returncode != 0:
            raise PreparationFailed(f"'{what}' failed with {ended.returncode}; see {self.log}.")
