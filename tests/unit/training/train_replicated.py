"""A program for the tests: trains head and backbone on drawn patches, without dropout, and writes weights and history.

    python train_replicated.py PATCHES OUT [alone] [mirrored]

Without the last words on what `distribution.strategy` finds (`TF_CONFIG`); `alone` on one device, `mirrored` on two logical
CPUs, both in this process.
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import tensorflow as tf

from steel_training.config import load_config
from steel_training.data.patches import PatchSet
from steel_training.storage import open_storage
from steel_training.training.feature_cache import FeatureCache
from steel_training.training.model_trainer import ModelTrainer, TransferLearningModel
from steel_training.training.strategy import choose_strategy

SETTINGS = (
    *("data.input_size=32", "model.weights=none", "model.dropout=0"),
    *("training.head.epochs=2", "training.head.learning_rate=0.001", "training.fine_tune.epochs=2", "training.views=2"),
    *(
        "training.fine_tune.learning_rate=0.0001",
        "training.fine_tune.from_layer=block6c_add",
    ),  # every kind of layer with weights is above it
)


def train(patches: Path, out: Path) -> None:
    """Trains on 65 patches (three batches, the last of one patch) and validates on 31."""
    config, storage = load_config(overrides=SETTINGS), open_storage(patches)
    labels = (np.arange(96) % 3 == 0).astype(int)

    def part(start: int, stop: int) -> PatchSet:
        return PatchSet(storage, tuple(f"{i}.png" for i in range(start, stop)), labels[start:stop], "drawn")

    out.mkdir()
    trainer = ModelTrainer(config, part(0, 65), part(65, 96), cache=FeatureCache(out.parent), logs=out)
    model = TransferLearningModel.build(config.model, config.data.input_size)
    for layer in model.keras_model.layers:
        if "Dropout" in type(layer).__name__:
            layer.rate = 0.0
    strategy = choose_strategy()
    report = {"replicas": strategy.num_replicas_in_sync, "strategy": type(strategy).__name__}
    for name, training in (("head", trainer.train_head), ("fine_tune", trainer.fine_tune)):
        report[name] = training(model).as_dict()
        np.savez(out / f"{name}.npz", *model.keras_model.get_weights())
    (out / "report.json").write_text(json.dumps(report))


def main(patches: str, out: str, *ways: str) -> None:
    """Trains once, or once a way."""
    if not ways:
        train(Path(patches), Path(out))
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for way in ways:
        with mirrored.scope() if way == "mirrored" else nullcontext():
            train(Path(patches), Path(out, way))


if __name__ == "__main__":
    main(*sys.argv[1:])
