"""The workers of a distributed training, as `TF_CONFIG` describes them.

Imports no TensorFlow, so that checking which worker is the chief is cheap.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from steel_training.errors import SteelTrainingError, UsageError
from steel_training.storage.json_types import Json
from steel_training.training.rendezvous import split_address

Found = TypeVar("Found")

VARIABLE = "TF_CONFIG"

CHIEF, WORKER = "chief", "worker"

RESULT_SECONDS = 900
"""How long a worker waits for the chief's result after their joint training."""

JOINT_STAGES = ("train_head", "fine_tune")
"""The stages that all workers run together; the chief runs the others alone."""

_EXAMPLE = '{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, "task": {"type": "worker", "index": 0}}'

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s:/]+):([0-9]{1,5})")


class ClusterUnusable(UsageError):
    """`TF_CONFIG` describes no cluster of workers with this process in it."""


class WorkerLost(SteelTrainingError):
    """Another worker of the cluster did not join, or was lost, and the training cannot continue without it."""


@dataclass(frozen=True)
class Cluster:
    """The workers of a cluster, as seen by this process.

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


def read_cluster(environment: Mapping[str, str] | None = None) -> Cluster | None:
    """Read `TF_CONFIG`.

    Args:
        environment: environment variables; `None` for those of this process.

    Returns:
        The cluster; `None` if the variable is not set, or lists no other worker.

    Raises:
        ClusterUnusable: it is not JSON, or does not describe a cluster of workers.
    """
    text = (os.environ if environment is None else environment).get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        _refuse(f"is not valid JSON ({error})")
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
    """Return whether this process writes the results: it is the chief of its cluster, or trains alone."""
    found = read_cluster()
    return found is None or found.is_chief


def refuse_worker(stage: str) -> None:
    """Refuse stages other than the joint ones on workers that are not the chief.

    Raises:
        ClusterUnusable: this worker does not take part in the stage.
    """
    found = read_cluster()
    if found is not None and not found.is_chief and stage not in JOINT_STAGES:
        raise ClusterUnusable(
            f"{found} does not take part in {stage}: the chief ({found.addresses[0]}) runs it alone. "
            f"Start only {' and '.join(JOINT_STAGES)} on the other workers."
        )


def wait_for_chief(poll: Callable[[], Found | None]) -> Found:
    """Wait for the result that the chief writes to the store.

    Args:
        poll: returns the result, or `None` while it is not there.

    Raises:
        WorkerLost: the chief ended without a result, or took longer than `RESULT_SECONDS`.
    """
    found = read_cluster()
    if found is None:
        raise ClusterUnusable(f"{VARIABLE} is not set; only a worker of a cluster waits for a chief.")
    deadline = time.monotonic() + RESULT_SECONDS
    while time.monotonic() < deadline:
        up = _answers(found.addresses[0])  # checked first: after the chief has ended it cannot write any more
        result = poll()
        if result is not None:
            return result
        if not up:
            break
        time.sleep(1)
    raise WorkerLost(
        f"{found}: training is done, but the chief ({found.addresses[0]}) left no result. See its log, and run the same "
        "command again on every machine."
    )


def _addresses(kind: str, given: Json) -> tuple[str, ...]:
    if not isinstance(given, list):
        _refuse(f"has {given!r} for '{kind}', expected a list of addresses")
    for address in given:
        match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if match is None or not 0 < int(match[2]) < 65536:
            _refuse(f"has the address {address!r} for a {kind}, expected host:port")
    return tuple(given)


def _position(task: Json, sizes: Mapping[str, int]) -> int:
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
