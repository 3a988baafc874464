"""A version can be made again by the command that its lineage records: the same verdict, nearly the same figures."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from steel_training.ingest.synthetic.sample import make_sample
from steel_training.registry import Registry
from steel_training.reproduction import NEW_STORE
from steel_training.storage import open_storage

SETTINGS = (
    *("model.weights=auto", "data.input_size=96", "baseline.min_steps=60"),
    *("training.head.epochs=8", "training.head.learning_rate=0.003"),
    *("training.fine_tune.epochs=2", "training.fine_tune.learning_rate=0.001", "gate.resamples=100"),
    *("gate.recall=0.8", "gate.precision=0.5", "gate.f2=0.7", "gate.auc=0.8", "publish.force=true"),
)


def steel_training(*words: str) -> dict:
    done = subprocess.run([sys.executable, "-m", "steel_training", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


@pytest.mark.slow
def test_the_recorded_command_makes_the_version_again(tmp_path: Path) -> None:
    dated = tmp_path / "strips" / "2026-11-24"
    make_sample(str(dated), coils=12, photographs_per_coil=2)
    options = [word for setting in SETTINGS for word in ("--set", setting)]
    first = steel_training("run", str(dated.parent), "--store", str(tmp_path / "first"), *options)
    assert first["verdict"] == "published", first["reasons"]

    known = Registry(open_storage(tmp_path / "first"), "steel-defects").metadata(first["version"])
    program, *words = shlex.split(known["reproduce"])
    assert program == "steel-training"
    assert str(dated) in words
    second = steel_training(*(str(tmp_path / "second") if word == NEW_STORE else word for word in words))

    again = Registry(open_storage(tmp_path / "second"), "steel-defects").metadata(second["version"])
    assert second["verdict"] == first["verdict"]
    assert known["machine"]["cores"] >= 1
    for same in ("fingerprint", "code", "test_part", "parts", "split_seed", "packages", "machine"):
        assert again[same] == known[same], same
    differences = {
        name: abs(again["metrics"][name]["value"] - metric["value"]) for name, metric in known["metrics"].items()
    }
    # The sums of several threads come in no fixed order, and training carries the difference on: measured on two busy cores,
    # AUC 0.006, average precision 0.007 and F2 0.011 apart; what hangs on the threshold more (precision 0.11, recall 0.02).
    for name, allowed in (("auc", 0.03), ("average_precision", 0.04), ("f2", 0.06)):
        assert differences[name] <= allowed, differences
