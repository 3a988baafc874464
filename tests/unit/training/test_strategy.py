"""The training strategy follows the machine and `TF_CONFIG`; an invalid `TF_CONFIG` is explained."""

from __future__ import annotations

import json
from multiprocessing.context import ForkServerContext

import pytest

from steel_training.cli import main
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run
from steel_training.stages._together import perform_together
from steel_training.storage import open_storage
from steel_training.training import strategy
from steel_training.training.cluster import ClusterUnusable, WorkerLost, read_cluster

PAIR = ["host-a:2222", "host-b:2222"]


def tf_config(jobs: object, kind: object = "worker", index: object = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})}


@pytest.fixture
def second_worker(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the second of two workers, and the first one's port is closed."""
    config = tf_config({"worker": [f"127.0.0.1:{closed_port}", "127.0.0.1:1"]}, index=1)
    monkeypatch.setenv("TF_CONFIG", config["TF_CONFIG"])


@pytest.mark.parametrize("environment", [{}, {"TF_CONFIG": " "}, {"TF_CONFIG": "{}"}, tf_config({"worker": PAIR[:1]})])
def test_process_without_other_workers_trains_alone(environment: dict[str, str]) -> None:
    assert read_cluster(environment) is None


@pytest.mark.parametrize(
    ("environment", "addresses", "position"),
    [
        (tf_config({"worker": PAIR}), tuple(PAIR), 0),
        (tf_config({"worker": PAIR}, index=1), tuple(PAIR), 1),
        (tf_config({"worker": PAIR}, index="1"), tuple(PAIR), 1),
        (tf_config({"chief": ["c:1"], "worker": PAIR}, "chief"), ("c:1", *PAIR), 0),
        (tf_config({"chief": ["c:1"], "worker": PAIR}, "worker", 0), ("c:1", *PAIR), 1),
        (tf_config({"worker": ["[::1]:2222", "10.0.0.2:2222"]}), ("[::1]:2222", "10.0.0.2:2222"), 0),
    ],
)
def test_chief_is_the_named_or_the_first_worker(
    environment: dict[str, str], addresses: tuple[str, ...], position: int
) -> None:
    found = read_cluster(environment)
    assert found is not None
    assert (found.addresses, found.position, found.is_chief) == (addresses, position, position == 0)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TF_CONFIG": "worker 0"}, "is not valid JSON"),
        ({"TF_CONFIG": "[1]"}, "JSON list, expected an object"),
        (tf_config(PAIR), "expected lists of addresses by kind of task"),
        (tf_config({"worker": PAIR, "ps": ["p:1"]}), "tasks of kind ps"),
        (tf_config({"chief": PAIR, "worker": ["c:1"]}), "names 2 chiefs"),
        (tf_config({"worker": []}), "names no worker"),
        (tf_config({"worker": "host-a:2222"}), "expected a list of addresses"),
        (tf_config({"worker": ["host-a", "host-b:2222"]}), "address 'host-a' for a worker, expected host:port"),
        (tf_config({"worker": ["host-a:99999", "host-b:2222"]}), "expected host:port"),
        (tf_config({"worker": [2222, "host-b:2222"]}), "expected host:port"),
        (tf_config({"worker": [PAIR[0], PAIR[0]]}), "an address twice"),
        (tf_config({"worker": PAIR}, index=2), "worker 2, expected an index from 0 to 1"),
        (tf_config({"worker": PAIR}, index=-1), "expected an index from 0 to 1"),
        (tf_config({"worker": PAIR}, index=True), "expected an index from 0 to 1"),
        (tf_config({"worker": PAIR}, "chief"), "type 'chief', expected 'worker'"),
        (tf_config({"worker": PAIR}, ["worker"]), "expected 'worker'"),
        ({"TF_CONFIG": json.dumps({"cluster": {"worker": PAIR}})}, "the task None, expected its type and index"),
    ],
)
def test_invalid_cluster_is_explained_with_an_example(environment: dict[str, str], expected: str) -> None:
    with pytest.raises(ClusterUnusable) as caught:
        read_cluster(environment)
    assert expected in str(caught.value)
    assert "An example for two workers: {" in str(caught.value)
    assert caught.value.exit_code == 2


def test_nothing_is_distributed_without_gpus() -> None:
    import tensorflow as tf

    found = strategy.choose_strategy()
    assert found is tf.distribute.get_strategy()
    assert found.num_replicas_in_sync == 1
    assert not tf.distribute.has_strategy()


def test_two_gpus_use_the_mirrored_strategy(forks: ForkServerContext) -> None:
    """On a machine without GPUs: TensorFlow gets two logical CPUs, which `strategy` takes for GPUs."""
    source = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.list_physical_devices = lambda kind=None: [cpu, cpu]
made = tf.distribute.MirroredStrategy
tf.distribute.MirroredStrategy = lambda: made(["CPU:0", "CPU:1"])
from steel_training.training.strategy import choose_strategy
found = choose_strategy()
assert found is choose_strategy(), "made once a process"
assert (type(found).__name__, found.num_replicas_in_sync) == ("MirroredStrategy", 2), found
"""
    child = forks.Process(target=exec, args=(source, {}))
    child.start()
    child.join(300)
    assert child.exitcode == 0


def test_the_chief_alone_does_not_wait_for_its_workers(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(strategy.alone()).__name__ == "nullcontext"
    config = tf_config({"worker": [f"127.0.0.1:{closed_port}", "127.0.0.1:1"]}, index=0)
    monkeypatch.setenv("TF_CONFIG", config["TF_CONFIG"])
    monkeypatch.setattr(strategy, "meet", None)  # called, it would be an error
    with strategy.alone():
        assert type(strategy.choose_strategy()).__name__ == "OneDeviceStrategy"


@pytest.mark.parametrize("stage", ["resolve_dataset", "check_baseline", "audit_labels", "evaluate", "publish_model"])
def test_only_the_chief_runs_the_other_stages(
    stage: str, second_worker: None, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = ["--dataset", str(tmp_path)] if stage == "resolve_dataset" else []
    assert main([stage, "--run-id", "r", "--store", str(tmp_path / "store"), *dataset]) == 2
    assert f"does not take part in {stage}" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_worker_returns_the_result_of_the_chief(second_worker: None, tmp_path) -> None:
    run = Run(open_storage(tmp_path), "r")
    worked = []

    def work(folder):
        worked.append(folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("TF_CONFIG")
            run.perform("train_head", {"same": 1}, lambda _: StageResult("train_head", outputs={"by": "chief"}))
        return StageResult("train_head", outputs={"by": "worker"})

    result = perform_together(run, "train_head", {"same": 1}, work)
    assert worked
    assert result.outputs == {"by": "chief"}
    assert run.result("train_head") == result


def test_worker_does_not_wait_for_a_lost_chief(second_worker: None, tmp_path) -> None:
    run = Run(open_storage(tmp_path), "r")
    with pytest.raises(WorkerLost, match="left no result"):
        perform_together(run, "train_head", {}, lambda _: StageResult("train_head"))
    assert run.find_result("train_head") is None
