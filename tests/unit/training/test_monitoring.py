"""Monitoring: TensorBoard, results.csv and the log agree, and a terminal shows a progress bar."""

import json
import os
import re
import select
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training.config import load_config
from steel_training.data.patches import PatchSet
from steel_training.storage import open_storage
from steel_training.training.feature_cache import FeatureCache
from steel_training.training.model_trainer import BaselineCNN, ModelTrainer, TransferLearningModel
from steel_training.training.monitoring.epoch_log import Epoch, ResultsFile
from steel_training.training.monitoring.worst import threshold_at, worst

SETTINGS = [
    "data.input_size=32",
    "model.weights=none",
    "training.head.epochs=4",
    "training.head.learning_rate=0.001",
    "training.patience=2",
    "training.fine_tune.epochs=2",
    "training.views=1",
    "baseline.epochs=2",
    "baseline.min_steps=1",
]
EPOCH = Epoch(3, 2.14, 1e-4, 0.43121, 0.5, 0.8124, 0.71, 0.93214, best=True)


def write_patches(folder):
    folder.mkdir()
    rng = np.random.default_rng(0)
    labels = np.arange(144) % 3 == 0
    for number, defective in enumerate(labels):
        pixels = rng.normal(120, 14, (32, 32))
        if defective:
            pixels[10:22, 14:18] -= 25
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return labels.astype(int)


def parts_of(folder, labels):
    def part(start, stop):
        return PatchSet(open_storage(folder), tuple(f"{i}.png" for i in range(start, stop)), labels[start:stop], "f")

    return part(0, 96), part(96, 144)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """All three trainings, each with its logs, and the validation scores of the weights that were kept."""
    folder = tmp_path_factory.mktemp("watched")
    train, val = parts_of(folder / "patches", write_patches(folder / "patches"))
    config = load_config(overrides=SETTINGS)
    model = TransferLearningModel.build(config.model, 32)
    baseline = BaselineCNN(config.baseline)
    trainings = {}
    for stage, network in (("check_baseline", baseline), ("train_head", model), ("fine_tune", model)):
        trainer = ModelTrainer(config, train, val, cache=FeatureCache(folder / "cache"), logs=folder / stage)
        method = trainer.train_baseline if stage == "check_baseline" else getattr(trainer, stage)
        trainings[stage] = (folder / stage, method(network))
    return val, trainings


def events(logs, run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(logs / "tensorboard" / run), size_guidance={"tensors": 0}).Reload()


def values(read, tag):
    from tensorboard.util import tensor_util

    return {event.step: tensor_util.make_ndarray(event.tensor_proto) for event in read.Tensors(tag)}


@pytest.mark.parametrize("stage", ["check_baseline", "train_head", "fine_tune"])
def test_tensorboard_has_every_epoch_of_the_history(watched, stage):
    logs, trained = watched[1][stage]
    # The baseline is the Trainer's model with its own metrics: it counts, too.
    counts = ("tp", "fn", "tn", "fp") if stage == "check_baseline" else ()
    train = ("loss", "recall", "pr_auc", "auc", "learning_rate", *counts)
    validation = ("loss", "recall", "pr_auc", "auc", "recall_ranked", *counts)
    for run, tags in (
        ("train", {name: name for name in train}),
        ("validation", {name: f"val_{name}" for name in validation}),
    ):
        read = events(logs, run)
        scalars = {tag for tag in read.Tags()["tensors"] if tag.startswith("e")}
        assert scalars == {f"epoch_{tag}" for tag in tags}
        for tag, name in tags.items():
            found = values(read, f"epoch_{tag}")
            assert list(found) == list(range(1, len(trained.history["loss"]) + 1))
            assert [float(value) for value in found.values()] == pytest.approx(trained.history[name], rel=1e-6)


@pytest.mark.parametrize("stage", ["check_baseline", "train_head", "fine_tune"])
def test_pr_curve_of_every_epoch_matches_its_scores(watched, stage):
    val, (logs, trained) = watched[0], watched[1][stage]
    read = events(logs, "validation")
    assert "validation/pr_curves" in read.PluginTagToContent("pr_curves")
    found = values(read, "validation/pr_curves")
    assert list(found) == list(range(1, len(trained.history["loss"]) + 1))
    for epoch, curve in found.items():
        tp, fp, tn, fn, precision, recall = curve
        assert curve.shape == (6, 1000)
        assert set(tp + fn) == {val.labels.sum()}, "counts are of validation, every patch once"
        assert set(fp + tn) == {(1 - val.labels).sum()}
        assert np.allclose(precision[tp + fp > 0], (tp / np.maximum(tp + fp, 1))[tp + fp > 0])
        kept = recall[precision >= 0.70]
        assert max(kept, default=0.0) == pytest.approx(trained.history["val_recall"][epoch - 1], abs=1e-6)
        assert _area(tp, fp, fn) == pytest.approx(trained.history["val_pr_auc"][epoch - 1], abs=1e-5)


def _area(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> float:
    """Area under the curve, interpolated as Davis and Goadrich (2006) do: between two thresholds, counts grow together."""
    called = tp + fp
    steps, slope = -np.diff(tp), -np.diff(tp) / np.maximum(-np.diff(called), 1e-9)
    start = tp[1:] - slope * called[1:]
    grown = np.where(called[1:] > 0, called[:-1] / np.maximum(called[1:], 1), 1.0)
    return float(np.sum(slope * (steps + start * np.log(grown)) / (tp + fn)[1:]))


@pytest.mark.parametrize("stage", ["check_baseline", "train_head", "fine_tune"])
def test_tensorboard_shows_worst_patches_of_best_epoch(watched, stage):
    logs, trained = watched[1][stage]
    read = events(logs, "validation")
    for tag in ("lowest_defects", "highest_clean"):
        (shown,) = values(read, tag).items()
        step, (width, height, png) = shown
        assert step == trained.best_epoch
        assert png.startswith(b"\x89PNG")
        assert int(width) > int(height) > 100


@pytest.mark.parametrize("stage", ["check_baseline", "train_head", "fine_tune"])
def test_results_csv_has_a_row_per_epoch_and_marks_best(watched, stage):
    logs, trained = watched[1][stage]
    table = pd.read_csv(logs / "results.csv")
    assert list(table) == [
        "epoch", "seconds", "learning_rate", "loss", "val_loss", "val_recall", "val_pr_auc", "val_auc", "best",
    ]  # fmt: skip
    assert list(table["epoch"]) == list(range(1, len(trained.history["loss"]) + 1))
    for name in ("learning_rate", "loss", "val_loss", "val_recall", "val_pr_auc", "val_auc"):
        assert list(table[name]) == pytest.approx(trained.history[name], rel=1e-5)
    assert (table["seconds"] > 0).all()
    assert table.loc[table["best"] == 1, "epoch"].max() == trained.best_epoch


def test_row_is_written_as_soon_as_its_epoch_ends(tmp_path):
    results = ResultsFile(tmp_path / "stage" / "results.csv")
    results.add(EPOCH)
    text = (tmp_path / "stage" / "results.csv").read_text()
    assert text == (
        "epoch,seconds,learning_rate,loss,val_loss,val_recall,val_pr_auc,val_auc,best\n"
        "3,2.14,0.0001,0.43121,0.5,0.8124,0.71,0.93214,1\n"
    )


def test_epoch_is_one_log_line_with_a_mark_if_best():
    line = EPOCH.line("train_head", epochs=20, precision=0.7)
    assert line == (
        "train_head  epoch  3/20  loss 0.4312  val_loss 0.5000  val_recall 0.812 at precision 0.70  val_auc 0.9321  "
        "rate 1.0e-04    2.1 s  * best"
    )


@pytest.mark.parametrize(
    ("scores", "missed", "alarms", "title"),
    [
        # Precision 0.6 holds down to 0.5 (two of three); the third defect, at 0.1, is missed.
        ([0.9, 0.8, 0.5, 0.1, 0.2, 0.3], [True, False, False], [True, False, False], "1 of 3 missed"),
        # Every clean patch above every defect: no threshold keeps the precision.
        (
            [0.1, 0.9, 0.2, 0.3, 0.8, 0.7],
            [True, True, True],
            [False, False, False],
            "no threshold keeps precision 0.60",
        ),
    ],
)
def test_worst_are_lowest_defects_and_highest_clean(scores, missed, alarms, title):
    labels, scores = np.array([1, 0, 1, 1, 0, 0]), np.array(scores)
    defects, clean = worst(labels, scores, 0.6)
    assert list(defects.scores) == sorted(scores[labels == 1])
    assert list(clean.scores) == sorted(scores[labels == 0], reverse=True)
    assert list(scores[defects.rows]) == list(defects.scores)
    assert (list(defects.wrong), list(clean.wrong)) == (missed, alarms)
    assert title in defects.title


def test_validation_of_one_class_has_no_threshold():
    assert threshold_at(np.zeros(3, int), np.array([0.1, 0.2, 0.3]), 0.7) is None


class Trainer:
    """A process that has loaded TensorFlow, and trains a head in a fork of itself for each request."""

    def __init__(self):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        script = str(Path(__file__).with_name("train_when_asked.py"))
        self.process = subprocess.Popen(
            [sys.executable, script, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        theirs.close()

    def start(self, folder, stdout, stderr):
        """Starts a training on the patches in a folder, and gives it its standard output and error."""
        socket.send_fds(self.socket, [str(folder).encode()], [stdout, stderr])
        os.close(stdout)
        os.close(stderr)

    def status(self):
        """The exit status of the training."""
        return int(self.socket.recv(16))

    def close(self):
        self.socket.close()
        self.process.wait(60)


@pytest.fixture(scope="module")
def trainer():
    started = Trainer()
    yield started
    started.close()


LINE = re.compile(
    r"\d\d:\d\d:\d\d train_head  epoch (\d)/4  loss \d\.\d{4}  val_loss .* rate \S+ +\d+\.\d s(  \* best)?"
)


@pytest.fixture
def patches(tmp_path):
    write_patches(tmp_path / "patches")
    return tmp_path


@pytest.mark.parametrize("size", [(40, 160), (0, 0)], ids=["a window", "a terminal of unknown size"])
def test_terminal_shows_a_bar_below_whole_log_lines(patches, trainer, size):
    terminal, theirs = os.openpty()
    termios.tcsetwinsize(theirs, size)
    output, stdout = os.pipe()
    trainer.start(patches, stdout, theirs)
    seen = b""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
            seen += data
    os.close(terminal)
    assert trainer.status() == 0, seen.decode()
    with open(output) as file:
        epochs = json.load(file)["epochs"]
    text = seen.decode().replace("\r\n", "\n")
    assert re.search(r"train_head  features of train: .*\d+/96 ", text), "the feature pass counts patches"
    assert re.search(r"train_head  epoch 2/4: .*\d/4 ", text), "an epoch counts its batches, validation included"
    # What stays on the screen: of every line, what was written after the last return to its start.
    lines = [line.rsplit("\r", 1)[-1].strip() for line in text.split("\n")]
    assert [int(found[1]) for line in lines if (found := LINE.fullmatch(line))] == list(range(1, epochs + 1))
    assert not [line for line in lines if "%|" in line], "no bar is left behind, and none shares a line with the log"


def test_pipe_gets_plain_lines_and_json_on_stdout(patches, trainer):
    (output, stdout), (errors, stderr) = os.pipe(), os.pipe()
    trainer.start(patches, stdout, stderr)
    with open(errors) as file:
        said = file.read()
    assert trainer.status() == 0, said
    with open(output) as file:
        epochs = json.load(file)["epochs"]
    assert "\r" not in said
    assert "%|" not in said
    assert "\x1b" not in said
    lines = said.splitlines()
    assert [int(found[1]) for line in lines if (found := LINE.fullmatch(line))] == list(range(1, epochs + 1))
    assert any(line.endswith("train_head  features of train  96/96 patches") for line in lines)
