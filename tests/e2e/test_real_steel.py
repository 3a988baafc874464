"""On real steel, a piece of steel kept together, the line publishes a model exactly when it meets its targets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA, WEIGHTS = os.environ.get("STEEL_TRAINING_TEST_DATA"), os.environ.get("STEEL_TRAINING_TEST_WEIGHTS")


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.skipif(
    not (DATA and WEIGHTS),
    reason="STEEL_TRAINING_TEST_DATA (a folder with neu_seg/) and STEEL_TRAINING_TEST_WEIGHTS (a file) are not set",
)
def test_real_steel_is_published_only_on_its_targets(tmp_path: Path) -> None:
    photographs = Path(DATA, "neu_seg")
    script = [sys.executable, str(ROOT / "benchmarks" / "real_steel.py")]
    folders = [str(photographs / "images"), str(photographs / "masks"), WEIGHTS, str(tmp_path / "out")]
    done = subprocess.run([*script, *folders], text=True, stdout=subprocess.PIPE, check=False)
    (result,) = (tmp_path / "out" / "store").glob("runs/*/evaluate/result.json")
    judged = json.loads(result.read_text())["outputs"]
    metrics = {name: metric["value"] for name, metric in judged["metrics"].items()}
    assert judged["groups"] >= 30, "split by piece of steel"
    assert metrics["auc"] >= 0.95
    met = all(metrics[name] >= target for name, target in judged["targets"].items())
    published = list((tmp_path / "out" / "store").glob("models/steel-defects/versions/*/gate.json"))
    assert bool(published) == met, done.stdout
