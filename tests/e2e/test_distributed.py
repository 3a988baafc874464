"""Two workers on one machine train through the command line: one result, and no worker that waits for ever."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from steel_training.cli import main
from steel_training.runs.artifacts import MODEL

pytestmark = pytest.mark.slow

SMALL = (
    *("model.weights=none", "data.input_size=32", "baseline.input_size=32", "baseline.min_steps=100"),
    *("training.views=2", "training.head.epochs=2", "training.fine_tune.epochs=1", "gate.resamples=100"),
)
LOST_SECONDS = 300
"""A last resort. Measured: 1.2 s where a worker is killed, 2.8 s where the chief is, on a busy machine."""


class Workers:
    """The same stage on two workers, each with its part of the cluster and both with one scratch folder."""

    def __init__(self, store: Path, run_id: str, logs: Path, own_port: Callable[[], int]) -> None:
        self.own_port = own_port
        self.command = ["--run-id", run_id, "--store", str(store)]
        self.logs = logs
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, stage: str) -> None:
        addresses = [f"127.0.0.1:{self.own_port()}" for _ in range(2)]
        self.logs.mkdir(exist_ok=True)
        self.processes = []
        for index in range(2):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            with open(self.logs / f"{index}.err", "w") as err, open(self.logs / f"{index}.out", "w") as out:
                self.processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "steel_training", stage, *self.command],
                        env={**os.environ, "TF_CONFIG": json.dumps(config)},
                        stdout=out,
                        stderr=err,
                    )
                )

    def end(self) -> list[int]:
        return [process.wait(timeout=300) for process in self.processes]

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def log(self, index: int) -> str:
        return (self.logs / f"{index}.err").read_text()

    def result(self, index: int) -> dict:
        return json.loads((self.logs / f"{index}.out").read_text().splitlines()[-1])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    """A store with a run that is ready for training."""
    folder = tmp_path_factory.mktemp("distributed")
    data = make_dataset(folder / "data")
    command = ["--run-id", "ready", "--store", str(folder / "store")]
    settings = [word for setting in SMALL for word in ("--set", setting)]
    assert main(["resolve_dataset", *command, "--dataset", str(data), *settings]) == 0
    for stage in ("profile_patches", "validate_patches", "check_baseline"):
        assert main([stage, *command]) == 0
    return folder / "store"


@pytest.fixture
def workers(store: Path, tmp_path: Path, own_port: Callable[[], int]) -> Iterator[Workers]:
    """Two workers for a run of the test's own."""
    run_id = tmp_path.name
    shutil.copytree(store / "runs" / "ready", store / "runs" / run_id)
    made = Workers(store, run_id, tmp_path / "logs", own_port)
    yield made
    made.stop()


def test_two_workers_train_to_one_result(store: Path, workers: Workers) -> None:
    run = store / "runs" / workers.command[1]
    for stage, epochs in (("train_head", 2), ("fine_tune", 1)):
        workers.start(stage)
        assert workers.end() == [0, 0], workers.log(0)[-3000:] + workers.log(1)[-3000:]
        assert "training on 2 replicas" in workers.log(0)
        result = json.loads((run / stage / "result.json").read_text())
        assert workers.result(0) == workers.result(1) == result
        assert result["outputs"]["epochs"] == epochs
        assert np.isfinite(result["outputs"]["history"]["loss"]).all()
        assert len((run / stage / "results.csv").read_text().splitlines()) == 1 + epochs
        assert len(list((run / stage / "tensorboard" / "train").iterdir())) == 1, "of the chief alone"
        assert (run / stage / MODEL).is_file()
    workers.start("fine_tune")
    assert workers.end() == [0, 0]
    assert workers.result(1) == result, "a finished stage is not done again"


@pytest.mark.parametrize("lost", [1, 0], ids=["worker", "chief"])
def test_killed_worker_ends_the_other_with_a_message(lost: int, store: Path, workers: Workers) -> None:
    record = store / "runs" / workers.command[1] / "resolve_dataset" / "result.json"
    short = record.read_text()
    long = json.loads(short)
    long["outputs"]["config"]["training"] |= {"patience": 100}
    long["outputs"]["config"]["training"]["head"] |= {"epochs": 1000}
    record.write_text(json.dumps(long))
    workers.start("train_head")
    until = time.monotonic() + 240
    while not all("epoch    3/" in workers.log(index) for index in range(2)):
        going = all(process.poll() is None for process in workers.processes)
        assert going, workers.log(0)[-3000:]
        assert time.monotonic() < until, workers.log(0)[-3000:]
        time.sleep(0.5)
    workers.processes[lost].kill()
    code = workers.processes[1 - lost].wait(timeout=LOST_SECONDS)
    assert code == 1, workers.log(1 - lost)[-3000:]
    assert "is gone" in workers.log(1 - lost).splitlines()[-1]
    assert not (store / "runs" / workers.command[1] / "train_head").exists()

    record.write_text(short)
    workers.start("train_head")
    assert workers.end() == [0, 0], workers.log(0)[-3000:]
