"""The file that is shipped: half the bytes, the same network, and refused where half precision would lose it."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

PRETRAINING = Path(__file__).resolve().parents[3] / "pretraining"


@pytest.fixture
def pack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.syspath_prepend(str(PRETRAINING))
    import pack_backbone

    def run(source: Path) -> Path:
        monkeypatch.setattr(pack_backbone, "TARGET", tmp_path / "packed" / "packed.weights.h5")
        monkeypatch.setattr(sys, "argv", ["pack_backbone.py", str(source)])
        assert pack_backbone.main() == 0
        return pack_backbone.TARGET

    return run


def test_packed_network_computes_the_same_features(pack, tmp_path: Path) -> None:
    from steel_training.training.backbones import SPECS
    from steel_training.training.pretrained_weights import load_weights

    spec = SPECS["EfficientNetB0"]
    network = spec.build(64)
    load_weights(network, spec, "steel")
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype(np.float32)
    for layer in network.weights:
        if "kernel" in layer.path:
            layer.assign(layer + 1e-4 * np.random.default_rng(1).standard_normal(layer.shape))
    before = np.asarray(network(pixels, training=False))
    network.save_weights(tmp_path / "full.weights.h5")

    packed = pack(tmp_path / "full.weights.h5")
    assert packed.stat().st_size < 9e6
    assert packed.with_suffix(".sha256").read_text(encoding="ascii").split()[1] == packed.name
    other = spec.build(64)
    load_weights(other, spec, str(packed))
    after = np.asarray(other(pixels, training=False))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.999


def test_weights_beyond_half_precision_are_refused(pack, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "wide.h5", "w") as file:
        file["layers/vars/0"] = np.array([1e6, 1.0], np.float32)
    with pytest.raises(SystemExit, match="layers/vars/0 does not fit into float16"), np.errstate(over="ignore"):
        pack(tmp_path / "wide.h5")
