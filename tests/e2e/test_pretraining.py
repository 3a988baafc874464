"""The training of the shipped backbone, as its card tells to run it: cut off and continued, it ends where it would have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
START = ROOT / "steel_training" / "pretrained" / "efficientnetb0_steel.weights.h5"


def train(out: Path, *options: str) -> None:
    script = str(ROOT / "pretraining" / "train_backbone.py")
    subprocess.run([sys.executable, script, str(START), str(out), "--steps", "4", *options], check=True, cwd=ROOT)


def tensors(file: Path) -> dict[str, np.ndarray]:
    found = {}
    with h5py.File(file) as opened:
        opened.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_interrupted_pretraining_gives_equal_weights(tmp_path: Path) -> None:
    train(tmp_path / "whole")
    train(tmp_path / "cut", "--minutes", "0")
    halfway = tensors(tmp_path / "cut" / "backbone.weights.h5")
    train(tmp_path / "cut")

    whole, continued = (
        tensors(tmp_path / "whole" / "backbone.weights.h5"),
        tensors(tmp_path / "cut" / "backbone.weights.h5"),
    )
    moved = 0
    for name, value in whole.items():
        if np.issubdtype(value.dtype, np.floating):
            np.testing.assert_allclose(continued[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
            moved += bool(np.abs(halfway[name] - value).max() > 1e-6)
    assert moved > 50, "the last steps changed nothing: nothing was tested"
