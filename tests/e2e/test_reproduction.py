"""A version can be made again by the command that its lineage records: the same verdict, the same figures."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from steel_training.ingest.synthetic.sample import make_sample
from steel_training.registry import Registry
from steel_training.runs.reproduction import NEW_STORE
from steel_training.storage import open_storage

SETTINGS = (
    *("model.weights=auto", "data.input_size=96", "baseline.min_steps=60"),
    *("training.head.epochs=8", "training.head.learning_rate=0.003"),
    *("training.fine_tune.epochs=2", "training.fine_tune.learning_rate=0.001", "gate.resamples=100"),
    *("gate.recall=0.8", "gate.precision=0.5", "gate.f2=0.7", "gate.auc=0.8", "publish.force=true"),
)


def steel_training(scratch: Path, *words: str) -> dict:
    environment = {
        **os.environ,
        "STEEL_TRAINING_SCRATCH": str(scratch),
    }  # what the first run cached would prove nothing
    command = [sys.executable, "-m", "steel_training", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


@pytest.mark.slow
def test_recorded_command_reproduces_the_version(tmp_path: Path) -> None:
    dated = tmp_path / "strips" / "2026-11-24"
    make_sample(str(dated), coils=12, photographs_per_coil=2)
    options = [word for setting in SETTINGS for word in ("--set", setting)]
    first = steel_training(tmp_path / "a", "run", str(dated.parent), "--store", str(tmp_path / "first"), *options)
    assert first["verdict"] == "published", first["reasons"]

    known = Registry(open_storage(tmp_path / "first"), "steel-defects").metadata(first["version"])
    program, *words = shlex.split(known["reproduce"])
    assert program == "steel-training"
    assert str(dated) in words
    words = [str(tmp_path / "second") if word == NEW_STORE else word for word in words]
    second = steel_training(tmp_path / "b", *words)

    again = Registry(open_storage(tmp_path / "second"), "steel-defects").metadata(second["version"])
    assert second["verdict"] == first["verdict"]
    assert known["machine"]["cores"] >= 1
    for same in ("fingerprint", "code", "test_part", "parts", "split_seed", "packages", "machine"):
        assert again[same] == known[same], same
    differences = {
        name: abs(again["metrics"][name]["value"] - metric["value"]) for name, metric in known["metrics"].items()
    }
    assert max(differences.values()) <= 1e-6, differences
