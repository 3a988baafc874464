"""The pod of a training task under the KubernetesExecutor: the image with CUDA, a GPU, memory, a place for the feature cache.

Everything else of the pod (secrets, service account, the other tasks' image) comes from the pod template of the
installation (`deploy/kubernetes/pod-template.yaml`, `docs/kubernetes.md`). Under any other executor there is nothing to say,
and the `kubernetes` package, which takes seconds to import, stays unread.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

IMAGE = "STEEL_TRAINING_KUBERNETES_IMAGE"
GPUS = "STEEL_TRAINING_KUBERNETES_GPUS"
CPU = "STEEL_TRAINING_KUBERNETES_CPU"
MEMORY = "STEEL_TRAINING_KUBERNETES_MEMORY"
SHARED_MEMORY = "STEEL_TRAINING_KUBERNETES_SHARED_MEMORY"
NODE_SELECTOR = "STEEL_TRAINING_KUBERNETES_NODE_SELECTOR"
TOLERATIONS = "STEEL_TRAINING_KUBERNETES_TOLERATIONS"
CACHE_CLAIM = "STEEL_TRAINING_KUBERNETES_CACHE_CLAIM"

GPU_RESOURCE = "nvidia.com/gpu"
CACHE_FOLDER = "/var/cache/steel-training"
SHARED_MEMORY = "/dev/shm"  # noqa: S108  # nosec B108
_TAINTED = json.dumps([{"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}])


class PodSettingInvalid(ValueError):
    """A `STEEL_TRAINING_KUBERNETES_…` variable cannot be used as it is."""


def training_pod() -> dict[str, Any]:
    """Returns the `executor_config` of a task that trains: a pod override, or nothing under another executor.

    Raises:
        PodSettingInvalid: a variable cannot be used as it is; the DAG's import error shows it.
    """
    from airflow.configuration import conf

    if "KubernetesExecutor" not in conf.get("core", "executor", fallback=""):
        return {}
    return {"pod_override": pod_override(os.environ)}


def pod_override(environment: Mapping[str, str]) -> Any:
    """Builds the `V1Pod` that is laid over the installation's template.

    Args:
        environment: holds `STEEL_TRAINING_KUBERNETES_…`; see `docs/kubernetes.md` for their defaults.

    Raises:
        PodSettingInvalid: see `training_pod`.
    """
    from kubernetes.client import models as k8s

    resources = {"memory": environment.get(MEMORY) or "16Gi"}
    requests = {**resources, "cpu": environment.get(CPU) or "4"}
    gpus = _count(environment)
    if gpus:
        # The device plugin takes only a limit, and an equal request.
        resources[GPU_RESOURCE] = requests[GPU_RESOURCE] = str(gpus)
    claim = environment.get(CACHE_CLAIM)
    source = (
        {"persistent_volume_claim": k8s.V1PersistentVolumeClaimVolumeSource(claim_name=claim)}
        if claim
        else {"empty_dir": k8s.V1EmptyDirVolumeSource()}
    )
    shared = environment.get(SHARED_MEMORY) or "2Gi"
    return k8s.V1Pod(
        spec=k8s.V1PodSpec(
            containers=[
                k8s.V1Container(
                    name="base",
                    image=environment.get(IMAGE) or None,
                    env=[k8s.V1EnvVar(name="STEEL_TRAINING_SCRATCH", value=CACHE_FOLDER)],
                    resources=k8s.V1ResourceRequirements(limits=resources, requests=requests),
                    volume_mounts=[
                        k8s.V1VolumeMount(name="training-cache", mount_path=CACHE_FOLDER),
                        # The GPUs of a pod talk to each other through it; the runtime's own is 64 MiB.
                        k8s.V1VolumeMount(name="training-shared-memory", mount_path=SHARED_MEMORY),
                    ],
                )
            ],
            node_selector=_json(environment, NODE_SELECTOR, "{}", dict) or None,
            tolerations=[_toleration(k8s, given) for given in _json(environment, TOLERATIONS, _TAINTED, list)] or None,
            volumes=[
                k8s.V1Volume(name="training-cache", **source),
                k8s.V1Volume(
                    name="training-shared-memory",
                    empty_dir=k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit=shared),
                ),
            ],
        )
    )


def _count(environment: Mapping[str, str]) -> int:
    text = environment.get(GPUS) or "1"
    if not text.isdigit():
        raise PodSettingInvalid(f"{GPUS} is {text!r}; expected a number of GPUs, 0 to train on the CPU.")
    return int(text)


def _json(environment: Mapping[str, str], name: str, default: str, kind: type) -> Any:
    text = environment.get(name) or default
    example = '{"gpu": "a100"}' if kind is dict else _TAINTED
    try:
        value = json.loads(text)
    except ValueError as error:
        raise PodSettingInvalid(
            f"{name} is {text!r}, which is no JSON ({error}); expected such as {example}."
        ) from None
    if not isinstance(value, kind) or (kind is dict and not all(isinstance(label, str) for label in value.values())):
        raise PodSettingInvalid(f"{name} is {text!r}; expected such as {example}.")
    return value


def _toleration(k8s: Any, given: Any) -> Any:
    fields = {api: python for python, api in k8s.V1Toleration.attribute_map.items()}
    if not isinstance(given, dict) or not given or set(given) - set(fields):
        raise PodSettingInvalid(f"{TOLERATIONS} has {given!r}; a toleration has {', '.join(sorted(fields))}.")
    return k8s.V1Toleration(**{fields[name]: value for name, value in given.items()})
