"""The devices of a training: one, all GPUs of this machine, or those of several machines.

The machine and `TF_CONFIG` decide, so that the same command trains on any of them (`docs/training-on-gpus.md`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.eager import context

from steel_training.training.cluster import CHIEF, WORKER, Cluster, ClusterUnusable, WorkerLost, read_cluster
from steel_training.training.rendezvous import wait_for_all

log = logging.getLogger(__name__)

GATHERING_SECONDS = 600
"""How long workers wait for each other at the start: pulling images and importing TensorFlow takes long."""

HEARTBEAT_SECONDS = 60
"""Time without a heartbeat after which a worker counts as lost."""


def choose_strategy() -> tf.distribute.Strategy:
    """Return the `tf.distribute.Strategy` to train with.

    The current strategy if the caller has entered its scope; else MultiWorkerMirroredStrategy if `TF_CONFIG` describes a
    cluster; else MirroredStrategy with two or more visible GPUs; else TensorFlow's default strategy.

    Raises:
        ClusterUnusable: see `read_cluster`.
        WorkerLost: the other workers did not join within `GATHERING_SECONDS`.
    """
    return tf.distribute.get_strategy() if tf.distribute.has_strategy() else _of_this_machine()


@cache  # a process can join its cluster only once
def _of_this_machine() -> tf.distribute.Strategy:
    found = read_cluster()
    if found is not None:
        return _joined(found)
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        log.info("training on all %d GPUs of this machine", len(gpus))
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def alone() -> AbstractContextManager[object]:
    """Return a scope in which this process works without the other workers of its cluster, on one device.

    For what the chief does by itself: it would wait for workers that do not come. Without a cluster it changes nothing.
    """
    if read_cluster() is None:
        return nullcontext()
    device = "/gpu:0" if tf.config.list_physical_devices("GPU") else "/cpu:0"
    scope: AbstractContextManager[object] = tf.distribute.OneDeviceStrategy(device).scope()
    return scope


def _joined(found: Cluster) -> tf.distribute.Strategy:
    """Wait for the other workers, and form a cluster with them."""
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
    """Wait for the other workers.

    Raises:
        WorkerLost: not all joined in time.
        ClusterUnusable: this process cannot listen at the chief's port.
    """
    log.info("%s: waiting for the others, at most %.0f s", found, seconds)
    try:
        missing = wait_for_all(found.addresses, found.position, seconds)
    except OSError as error:
        raise ClusterUnusable(
            f"{found} cannot listen at its port: {error}. Is a training still running there?"
        ) from None
    if missing:
        absent = ", ".join(found.addresses[number] for number in missing)
        raise WorkerLost(
            f"{found}: after {seconds:.0f} s still waiting for {absent}. "
            "Start the same command on every machine, and make sure that they can reach each other's ports."
        )


@contextmanager
def explained() -> Iterator[None]:
    """Convert the errors that TensorFlow raises when a peer is lost into `WorkerLost`.

    Raises:
        WorkerLost: a collective operation was aborted.
    """
    found = read_cluster()
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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
