"""Whole runs by their command, on a small dataset and with little work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from steel_training.cli import main


@pytest.fixture
def data(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(tmp_path / "data")


@pytest.fixture(scope="session")
def little_work() -> list[str]:
    """Options of a run that trains an untaught network for a moment."""
    settings = (
        *("model.weights=none", "data.input_size=32", "training.views=2"),
        *("baseline.input_size=32", "baseline.batch_size=8", "baseline.min_steps=100"),
        *("training.head.epochs=2", "training.fine_tune.epochs=1", "gate.resamples=100"),
    )
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture
def run_line(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict]]:
    """Runs `steel-training run`; returns its exit code and its last line, read."""

    def run(data: Path, store: Path, *options: str) -> tuple[int, dict]:
        capsys.readouterr()
        code = main(["run", str(data), "--store", str(store), *options])
        return code, json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return run
