"""A training that is interrupted after any epoch resumes from there with the same result."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from steel_training.config import load_config
from steel_training.data.patches import PatchSet
from steel_training.storage import StorageError, open_storage
from steel_training.training import resumption
from steel_training.training.model_trainer import BaselineCNN, ModelTrainer, Training, TransferLearningModel
from steel_training.training.unfinished import Kept, Unfinished

SETTINGS = (
    *("data.input_size=32", "model.weights=none", "training.views=2", "training.patience=2"),
    *("training.head.epochs=7", "training.head.learning_rate=0.003"),
    *("training.fine_tune.epochs=2", "training.fine_tune.learning_rate=0.0003"),
    "training.fine_tune.from_layer=block6c_add",  # every kind of layer with weights is above it
    *("baseline.input_size=32", "baseline.epochs=12", "baseline.min_steps=1"),
)


TRAININGS = ("train_head", "fine_tune")


class BrokenOff(Exception):
    """Stands for the end of the process."""


class Breaking(Unfinished):
    """Keeps epochs, and breaks the training off once after each of them."""

    broken: set[int]

    def keep(self, kept: Kept) -> None:
        super().keep(kept)
        if kept.epoch not in self.broken:
            self.broken.add(kept.epoch)
            raise BrokenOff


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[PatchSet, PatchSet]:
    folder = tmp_path_factory.mktemp("patches")
    random = np.random.default_rng(0)
    labels = (np.arange(144) % 3 == 0).astype(int)
    for number, defective in enumerate(labels):
        pixels = random.normal(120, 14, (32, 32))
        pixels[10:22, 14:18] -= 25 * defective
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    names = tuple(f"{number}.png" for number in range(144))
    storage = open_storage(folder)
    return PatchSet(storage, names[:96], labels[:96], "f"), PatchSet(storage, names[96:], labels[96:], "f")


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "SHARE", np.inf)


def train(
    stage: str, parts: tuple[PatchSet, PatchSet], folder: Path, unfinished: Unfinished | None, *settings: str
) -> tuple[Training, list[np.ndarray]]:
    config = load_config(overrides=[*SETTINGS, *settings])
    trainer = ModelTrainer(config, *parts, logs=folder, unfinished=unfinished)
    if stage == "check_baseline":
        baseline = BaselineCNN(config.baseline)
        return trainer.train_baseline(baseline), baseline.keras_model.get_weights()
    model = TransferLearningModel.build(config.model, 32)
    training = trainer.train_head(model) if stage == "train_head" else trainer.fine_tune(model)
    return training, model.keras_model.get_weights()


@pytest.mark.parametrize("stage", ["check_baseline", *(pytest.param(s, marks=pytest.mark.slow) for s in TRAININGS)])
def test_resuming_after_any_epoch_gives_equal_results(
    stage: str, parts: tuple[PatchSet, PatchSet], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    undisturbed, weights = train(stage, parts, tmp_path / "undisturbed", None)
    unfinished = Breaking(open_storage(tmp_path / "store"), "r/unfinished", "inputs")
    unfinished.broken = set()
    for attempt in range(20):
        try:
            ended, found = train(stage, parts, tmp_path / f"attempt{attempt}", unfinished)
            break
        except BrokenOff:
            continue
    assert attempt == len(unfinished.broken) == len(undisturbed.history["loss"])
    assert ended == undisturbed
    if stage == "check_baseline":
        assert ended.stopped == "early", "its patience counts the epochs before"
        assert len(set(ended.history["learning_rate"])) > 1, "and so does the one of the rate"
    assert all(np.array_equal(one, other) for one, other in zip(found, weights, strict=True))
    for number in range(1, attempt + 1):
        assert f"{stage}  resumes after epoch {number}" in caplog.text

    def rows(folder: str) -> list[list[str]]:
        lines = (tmp_path / folder / "results.csv").read_text().splitlines()
        return [[value for place, value in enumerate(line.split(",")) if place != 1] for line in lines]

    assert rows(f"attempt{attempt}") == rows("undisturbed"), "all but the seconds"
    files = list((tmp_path / f"attempt{attempt}" / "tensorboard" / "train").iterdir())
    assert len(files) == attempt, "one a process that trained, the last one had no epoch left"


def test_saved_state_is_for_same_inputs_and_network(
    parts: tuple[PatchSet, PatchSet], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_storage(tmp_path / "store")
    kept = Unfinished(store, "r/unfinished", "inputs")
    train("check_baseline", parts, tmp_path / "a", kept)
    assert kept.read() is not None
    assert Unfinished(store, "r/unfinished", "other inputs").read() is None
    train("train_head", parts, tmp_path / "b", kept, "training.head.epochs=1")
    assert "is of another network" in caplog.text
    kept.remove()
    assert kept.read() is None
    assert not list(store.entries())


def test_unwritable_store_does_not_stop_training(
    parts: tuple[PatchSet, PatchSet], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(Unfinished):
        def keep(self, kept: Kept) -> None:
            raise StorageError("No space left on device")

    training, _ = train("check_baseline", parts, tmp_path, Full(open_storage(tmp_path / "store"), "r", "inputs"))
    assert training.stopped == "early"
    assert "the state after epoch 1 cannot be saved; training continues. No space left on device" in caplog.text


def test_saving_takes_a_small_share_of_the_time(
    parts: tuple[PatchSet, PatchSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumption, "SHARE", 0.05)
    clock = [0.0]
    monkeypatch.setattr(resumption.time, "monotonic", lambda: clock[0])
    epochs: list[int] = []

    class Slow(Unfinished):
        def keep(self, kept: Kept) -> None:
            epochs.append(kept.epoch)
            clock[0] += 1.0

    made = resumption.Resumption(
        Slow(open_storage(tmp_path), "r", "i"),
        stage="s", network=None, batches=None, callbacks=[], history={}, best=tmp_path / "b", logs=None,
    )  # fmt: skip
    monkeypatch.setattr(made, "_now", lambda epoch: Kept(epoch, False, {}, {}))
    callback: Any = made.callback()
    for epoch in range(60):
        clock[0] += 2.0
        callback.on_epoch_end(epoch)
    assert epochs == [1, 11, 21, 31, 41, 51], "a second is 5 % of ten epochs of two seconds"
