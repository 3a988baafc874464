"""Which devices a training uses: one, all GPUs of this machine, or those of several machines.

The machine and `TF_CONFIG` decide, so that the same command trains on any of them (`docs/training-on-gpus.md`).
Reading `TF_CONFIG` needs no TensorFlow: what asks only who the chief is does not pay for it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn, TypeVar

from steel_training.errors import SteelTrainingError, UsageError
from steel_training.rendezvous import split_address, wait_for_all

log = logging.getLogger(__name__)

Found = TypeVar("Found")

VARIABLE = "TF_CONFIG"
CHIEF, WORKER = "chief", "worker"

GATHERING_SECONDS = 600
"""How long workers wait for each other at the start: images are pulled, and TensorFlow takes long to import."""

HEARTBEAT_SECONDS = 60
"""After how much silence a worker counts as lost."""

RESULT_SECONDS = 900
"""How long a worker waits for the chief's result after the training that they did together."""

TOGETHER = ("train_head", "fine_tune")
"""The stages that all workers do at once; the chief does the others alone."""

_EXAMPLE = '{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, "task": {"type": "worker", "index": 0}}'
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s:/]+):([0-9]{1,5})")


class ClusterUnusable(UsageError):
    """`TF_CONFIG` describes no cluster of workers with this process in it."""


class WorkerLost(SteelTrainingError):
    """Another worker of the cluster did not come, or went, and the training cannot go on without it."""


@dataclass(frozen=True)
class Cluster:
    """The workers that train together, as this process sees them.

    Attributes:
        addresses: `host:port` of every worker, the chief first.
        position: of this process among them, from 0.
    """

    addresses: tuple[str, ...]
    position: int

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the results."""
        return self.position == 0

    def __str__(self) -> str:
        role = CHIEF if self.is_chief else WORKER
        return f"{role} {self.position + 1} of {len(self.addresses)} ({self.addresses[self.position]})"


def cluster(environment: Mapping[str, str] | None = None) -> Cluster | None:
    """Reads `TF_CONFIG`.

    Args:
        environment: where the variable is looked up; this process's where none is given.

    Returns:
        The cluster; `None` where the variable is not set, or names no worker beside this one.

    Raises:
        ClusterUnusable: it is no JSON, or describes something else than a cluster of workers.
    """
    text = (os.environ if environment is None else environment).get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        _refuse(f"is no JSON ({error})")
    if not isinstance(value, dict):
        _refuse(f"is a JSON {type(value).__name__}, expected an object")
    jobs = value.get("cluster", {})
    if not isinstance(jobs, dict):
        _refuse(f"has the cluster {jobs!r}, expected lists of addresses by kind of task")
    if not jobs:
        return None
    if unknown := sorted(set(jobs) - {CHIEF, WORKER}):
        _refuse(f"names tasks of kind {', '.join(unknown)}, expected only '{WORKER}' and at most one '{CHIEF}'")
    chiefs, workers = (_addresses(kind, jobs.get(kind, [])) for kind in (CHIEF, WORKER))
    if len(chiefs) > 1:
        _refuse(f"names {len(chiefs)} chiefs, expected at most one")
    addresses = (*chiefs, *workers)
    if not addresses:
        _refuse("names no worker")
    if len(set(addresses)) < len(addresses):
        _refuse(f"names an address twice in {', '.join(addresses)}")
    position = _position(value.get("task"), {CHIEF: len(chiefs), WORKER: len(workers)})
    return Cluster(addresses, position) if len(addresses) > 1 else None


def is_chief() -> bool:
    """Says whether this process is the one that writes: the chief of its cluster, or alone."""
    found = cluster()
    return found is None or found.is_chief


def refuse_worker(stage: str) -> None:
    """Lets the chief, and whoever is alone, do any stage, and other workers those that are done together.

    Raises:
        ClusterUnusable: this worker has no part in the stage.
    """
    found = cluster()
    if found is not None and not found.is_chief and stage not in TOGETHER:
        raise ClusterUnusable(
            f"{found} has no part in {stage}: the chief ({found.addresses[0]}) does it alone. "
            f"Start only {' and '.join(TOGETHER)} on the other workers."
        )


def of_chief(look: Callable[[], Found | None]) -> Found:
    """Waits for what the chief leaves in the store.

    Args:
        look: returns it, or `None` while it is not there.

    Raises:
        WorkerLost: the chief ended without it, or took longer than `RESULT_SECONDS`.
    """
    found = cluster()
    if found is None:
        raise ClusterUnusable(f"{VARIABLE} is not set; only a worker of a cluster waits for a chief.")
    deadline = time.monotonic() + RESULT_SECONDS
    while time.monotonic() < deadline:
        up = _answers(found.addresses[0])  # asked first: a chief that has ended cannot write any more
        result = look()
        if result is not None:
            return result
        if not up:
            break
        time.sleep(1)
    raise WorkerLost(
        f"{found}: training is done, but the chief ({found.addresses[0]}) left no result. See its log, and start the same "
        "command again on every machine."
    )


def strategy() -> Any:
    """Returns the `tf.distribute.Strategy` to train with.

    A strategy whose scope the caller has entered; else from `TF_CONFIG` MultiWorkerMirroredStrategy; else with two or more
    visible GPUs MirroredStrategy; else TensorFlow's default one, which changes nothing.

    Raises:
        ClusterUnusable: see `cluster`.
        WorkerLost: the other workers did not come within `GATHERING_SECONDS`.
    """
    import tensorflow as tf

    return tf.distribute.get_strategy() if tf.distribute.has_strategy() else _of_this_machine()


@cache  # a process can join its cluster only once
def _of_this_machine() -> Any:
    import tensorflow as tf

    found = cluster()
    if found is not None:
        return _joined(found)
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        log.info("training on all %d GPUs of this machine", len(gpus))
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _joined(found: Cluster) -> Any:
    """Meets the other workers, and makes one cluster of them."""
    import tensorflow as tf
    from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
    from tensorflow.python.eager import context

    meet(found, GATHERING_SECONDS)
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    jobs = resolver.cluster_spec().as_dict()
    leader = CHIEF if CHIEF in jobs else WORKER
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{leader}/replica:0/task:0",
        heartbeat_timeout_in_ms=HEARTBEAT_SECONDS * 1000,
        coordinated_jobs=[
            coordination_config_pb2.CoordinatedJob(name=job, num_tasks=len(tasks)) for job, tasks in jobs.items()
        ],
    )
    made = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    log.info("%s: training on %d replicas", found, made.num_replicas_in_sync)
    return made


def meet(found: Cluster, seconds: float) -> None:
    """Waits for the other workers.

    Raises:
        WorkerLost: not all are there in time.
        ClusterUnusable: this process cannot listen at the chief's port.
    """
    log.info("%s: waiting for the others, at most %.0f s", found, seconds)
    try:
        missing = wait_for_all(found.addresses, found.position, seconds)
    except OSError as error:
        raise ClusterUnusable(
            f"{found} cannot listen at its port: {error}. Is a training still going on there?"
        ) from None
    if missing:
        absent = ", ".join(found.addresses[number] for number in missing)
        raise WorkerLost(
            f"{found}: after {seconds:.0f} s still waiting for {absent}. "
            "Start the same command on every machine, and let them reach each other at their ports."
        )


@contextmanager
def explained() -> Iterator[None]:
    """Turns what TensorFlow raises when a peer is gone into `WorkerLost`.

    Raises:
        WorkerLost: an operation that needs all workers was broken off.
    """
    import tensorflow as tf

    found = cluster()
    kinds = ("Unavailable", "Aborted", "Cancelled", "Internal", "DeadlineExceeded", "FailedPrecondition")
    broken = tuple(getattr(tf.errors, f"{kind}Error") for kind in kinds)
    try:
        yield
    except broken as error:
        if found is None:
            raise
        raise WorkerLost(
            f"{found}: another worker of {', '.join(found.addresses)} is gone, and training stopped. "
            f"Start the same command again on every machine. ({_first_line(error)})"
        ) from error


def _addresses(kind: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list):
        _refuse(f"has {given!r} for '{kind}', expected a list of addresses")
    for address in given:
        match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if match is None or not 0 < int(match[2]) < 65536:
            _refuse(f"has the address {address!r} for a {kind}, expected host:port")
    return tuple(given)


def _position(task: Any, sizes: Mapping[str, int]) -> int:
    if not isinstance(task, dict):
        _refuse(f"has the task {task!r}, expected its type and index")
    kind, index = task.get("type"), task.get("index")
    if not isinstance(kind, str) or not sizes.get(kind):
        known = " or ".join(f"'{name}'" for name, size in sizes.items() if size)
        _refuse(f"says that this task is of type {kind!r}, expected {known}")
    if isinstance(index, str) and index.isdigit():
        index = int(index)
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < sizes[kind]:
        _refuse(f"says that this task is {kind} {index!r}, expected an index from 0 to {sizes[kind] - 1}")
    return int(index) + (sizes[CHIEF] if kind == WORKER else 0)


def _refuse(found: str) -> NoReturn:
    raise ClusterUnusable(f"{VARIABLE} {found}. An example for two workers: {_EXAMPLE}")


def _answers(address: str) -> bool:
    try:
        socket.create_connection(split_address(address), timeout=10).close()
    except OSError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
