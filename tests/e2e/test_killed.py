"""A run whose process is killed at any moment goes on when it is started again, and ends as an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from steel_training.ingest.synthetic.sample import make_sample
from steel_training.registry import Registry
from steel_training.runs.result import STAGES
from steel_training.storage import open_storage

KILLS = 30
SETTINGS = (
    *("model.weights=steel", "data.input_size=64", "baseline.min_steps=60", "publish.force=true"),
    *("training.head.epochs=6", "training.head.learning_rate=0.003", "training.views=2"),
    *("training.fine_tune.epochs=3", "training.fine_tune.learning_rate=0.001", "gate.resamples=100"),
    *("gate.recall=0.6", "gate.precision=0.4", "gate.f2=0.5", "gate.auc=0.7"),
)


class Line:
    """The command `run` on one dataset, into a store of its own."""

    def __init__(self, folder: Path, dataset: Path) -> None:
        folder.mkdir()
        self.folder, self.dataset, self.store, self.log = folder, dataset, folder / "store", folder / "log"

    def start(self, run_id: str) -> subprocess.Popen[str]:
        words = ["run", str(self.dataset), "--store", str(self.store), "--run-id", run_id]
        words += [word for setting in SETTINGS for word in ("--set", setting)]
        environment = {**os.environ, "STEEL_TRAINING_SCRATCH": str(self.folder / "cache")}
        return subprocess.Popen(
            [sys.executable, "-m", "steel_training", *words],
            stdout=subprocess.PIPE, stderr=self.log.open("a"), text=True, env=environment, start_new_session=True,
        )  # fmt: skip

    def answer(self, run_id: str) -> dict:
        done = self.start(run_id)
        out, _ = done.communicate(timeout=600)
        assert done.returncode == 0, self.log.read_text()[-3000:]
        told: dict = json.loads(out.strip().splitlines()[-1])
        return told

    def figures(self, run_id: str) -> dict:
        """What a run came to, without what names the run or the time."""
        answers = {}
        for stage in ("check_baseline", "train_head", "fine_tune"):
            outputs = json.loads((self.store / "runs" / run_id / stage / "result.json").read_text())["outputs"]
            answers[stage] = {name: outputs[name] for name in ("history", "best_epoch", "stopped", "epochs")}
        decided = json.loads((self.store / "runs" / run_id / "decide" / "result.json").read_text())
        evaluated = json.loads((self.store / "runs" / run_id / "evaluate" / "result.json").read_text())
        answers["metrics"] = evaluated["outputs"]["metrics"]
        answers["reasons"] = decided["reasons"]
        return answers

    def unfinished_stage(self, run_id: str) -> str:
        done = [stage for stage in STAGES if (self.store / "runs" / run_id / stage / "result.json").exists()]
        return STAGES[STAGES.index(done[-1]) + 1] if done and done[-1] in STAGES[:-1] else STAGES[0]

    def everything_is_whole(self) -> None:
        """Whatever can be seen in the store can be used: results, and versions with all their files."""
        for run in (self.store / "runs").iterdir() if (self.store / "runs").exists() else ():
            for stage in run.iterdir():
                if stage.is_dir() and not stage.name.startswith(".") and stage.name != "unfinished":
                    assert json.loads((stage / "result.json").read_text())["stage"] == stage.name
        registry = Registry(open_storage(self.store), "steel-defects")
        for version in registry.versions():
            assert registry.verify(version) == []


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_killed_runs_end_like_the_undisturbed_run(tmp_path: Path) -> None:
    make_sample(str(tmp_path / "strips"), coils=12, photographs_per_coil=2)
    calm = Line(tmp_path / "calm", tmp_path / "strips")
    undisturbed = calm.answer("one")
    expected = calm.figures("one")
    chance = random.SystemRandom()
    hit: Counter[str] = Counter()
    lines = []
    while sum(hit.values()) < KILLS:
        lines.append(line := Line(tmp_path / f"killed{len(lines)}", tmp_path / "strips"))
        for attempt in count():
            process = line.start("one")
            try:
                # A stage that needs longer than it ever lives would never be done.
                process.wait(timeout=chance.uniform(2.0, 25.0) if attempt < KILLS / 3 else 600)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                hit[line.unfinished_stage("one")] += 1
                line.everything_is_whole()
                continue
            assert process.returncode == 0, line.log.read_text()[-3000:]
            break
        told = line.answer("one")  # once more: the same result, nothing is done twice
        assert told["verdict"] == undisturbed["verdict"] == "published"
        assert line.figures("one") == expected
        assert len(Registry(open_storage(line.store), "steel-defects").versions()) == 1
        assert not list(line.store.glob("runs/one/unfinished/*"))
    resumed = sum(line.log.read_text().count("resumes after epoch") for line in lines)
    sys.stdout.write(f"\nkilled in {dict(hit)}; {len(lines)} runs; went on within a training {resumed} times\n")
    assert len(hit) >= 4
