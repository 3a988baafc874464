"""Replicas train the same weights from the same patches as one device, up to rounding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steel_training.training import replicated_fit

PROGRAM = Path(__file__).with_name("train_replicated.py")
ROUNDING = 1e-6
"""Measured: 7.5e-8, of weights up to 1. Sums in another order differ that much; another batch, or a patch that counts for
more than it should, differs by the learning rate (1e-4) and more."""


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, own_port: Callable[[], int]) -> dict[str, Path]:
    """What one device, two devices of a process, and two processes made of the same patches, by name."""
    folder = tmp_path_factory.mktemp("replicas")
    patches = folder / "patches"
    patches.mkdir()
    rng = np.random.default_rng(0)
    for number in range(96):
        pixels = rng.normal(120, 10, (32, 32))
        if number % 3 == 0:
            pixels[10:22, 14:18] -= 70
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(patches / f"{number}.png")
    (folder / "one_process").mkdir()
    addresses = [f"127.0.0.1:{own_port()}" for _ in range(2)]
    processes = [start(patches, folder / "one_process", "alone", "mirrored")]
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        processes.append(start(patches, folder / f"worker_{index}", TF_CONFIG=json.dumps(config)))
    for process in processes:
        report, _ = process.communicate(timeout=1500)
        assert process.returncode == 0, report[-3000:]
    one = folder / "one_process"
    return {
        "alone": one / "alone",
        "mirrored": one / "mirrored",
        **{f"worker_{index}": folder / f"worker_{index}" for index in range(2)},
    }


def report(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())


def difference(one: Path, other: Path, stage: str) -> float:
    ours, theirs = np.load(one / f"{stage}.npz"), np.load(other / f"{stage}.npz")
    return max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours.files)


@pytest.mark.slow
def test_every_strategy_was_used_in_the_comparison(trained: dict[str, Path]) -> None:
    ways = {name: (report(folder)["strategy"], report(folder)["replicas"]) for name, folder in trained.items()}
    assert ways["alone"][1] == 1
    assert ways["mirrored"] == ("MirroredStrategy", 2)
    assert ways["worker_0"] == ways["worker_1"] == ("CollectiveAllReduceStrategy", 2)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["head", "fine_tune"])
def test_replicas_train_the_weights_of_one_device(trained: dict[str, Path], stage: str) -> None:
    """Averaged weights, class weights, and a last batch of one patch included: two replicas, one of them without any."""
    for way in ("mirrored", "worker_0", "worker_1"):
        assert difference(trained["alone"], trained[way], stage) < ROUNDING, way
    with np.load(trained["alone"] / "head.npz") as head, np.load(trained["alone"] / "fine_tune.npz") as tuned:
        assert max(float(np.abs(head[name] - tuned[name]).max()) for name in head.files) > 100 * ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["head", "fine_tune"])
def test_workers_end_with_bit_identical_weights(trained: dict[str, Path], stage: str) -> None:
    assert difference(trained["worker_0"], trained["worker_1"], stage) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["head", "fine_tune"])
def test_replicas_report_the_metrics_of_one_device(trained: dict[str, Path], stage: str) -> None:
    alone = report(trained["alone"])[stage]
    for way in ("mirrored", "worker_0", "worker_1"):
        found = report(trained[way])[stage]
        assert (found["best_epoch"], found["stopped"]) == (alone["best_epoch"], alone["stopped"])
        assert found["history"].keys() == alone["history"].keys()
        for name, values in alone["history"].items():
            assert found["history"][name] == pytest.approx(values, abs=1e-5), name


def test_one_device_computes_features_unchanged() -> None:
    import tensorflow as tf

    def forward(batch):
        return [batch]

    assert replicated_fit.spread(forward, tf.distribute.get_strategy()) is forward


def test_features_from_several_devices_keep_order(forks: ForkServerContext) -> None:
    source = """
import numpy as np, tensorflow as tf
from steel_training.training.replicated_fit import spread
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1", "CPU:2"])
seen = []
def forward(batch):
    seen.append(len(batch))
    return [batch * 2, tf.reduce_sum(batch, axis=1)]
spread = spread(forward, strategy)
for count in (7, 3, 2, 1):
    batch = tf.reshape(tf.range(count * 4, dtype=tf.float32), (count, 4))
    doubled, summed = spread(batch)
    assert np.array_equal(doubled, batch * 2) and np.array_equal(summed, tf.reduce_sum(batch, axis=1)), count
assert sorted(seen[:3]) == [2, 2, 3] and min(seen) == 1, seen
"""
    child = forks.Process(target=exec, args=(source, {}))
    child.start()
    child.join(300)
    assert child.exitcode == 0
