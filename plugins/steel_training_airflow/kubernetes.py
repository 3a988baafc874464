"""The pod of a training task under the KubernetesExecutor: the image with CUDA, a GPU, memory, a place for the feature cache.

Everything else of the pod (secrets, service account, the other tasks' image) comes from the pod template of the
installation (`deploy/kubernetes/pod-template.yaml`, `docs/kubernetes.md`). Under any other executor there is nothing to say,
and the `kubernetes` package, which takes seconds to import, stays unread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steel_training.environment import Environment, VariableInvalid

GPU_RESOURCE = "nvidia.com/gpu"
CACHE_FOLDER = "/var/cache/steel-training"
SHARED_MEMORY = "/dev/shm"  # noqa: S108  # nosec B108


def training_pod() -> dict[str, Any]:
    """Returns the `executor_config` of a task that trains: a pod override, or nothing under another executor.

    Raises:
        VariableInvalid: a variable cannot be used as it is; the DAG's import error shows it.
    """
    from airflow.configuration import conf

    if "KubernetesExecutor" not in conf.get("core", "executor", fallback=""):
        return {}
    return {"pod_override": pod_override(Environment.read())}


def pod_override(environment: Environment) -> Any:
    """Builds the `V1Pod` that is laid over the installation's template.

    Args:
        environment: its `kubernetes_…`.

    Raises:
        VariableInvalid: see `training_pod`.
    """
    from kubernetes.client import models as k8s

    resources = {"memory": environment.kubernetes_memory}
    requests = {**resources, "cpu": environment.kubernetes_cpu}
    if gpus := environment.kubernetes_gpus:
        # The device plugin takes only a limit, and an equal request.
        resources[GPU_RESOURCE] = requests[GPU_RESOURCE] = str(gpus)
    claim = environment.kubernetes_cache_claim
    source = (
        {"persistent_volume_claim": k8s.V1PersistentVolumeClaimVolumeSource(claim_name=claim)}
        if claim
        else {"empty_dir": k8s.V1EmptyDirVolumeSource()}
    )
    return k8s.V1Pod(
        spec=k8s.V1PodSpec(
            containers=[
                k8s.V1Container(
                    name="base",
                    image=environment.kubernetes_image or None,
                    env=[k8s.V1EnvVar(name="STEEL_TRAINING_SCRATCH", value=CACHE_FOLDER)],
                    resources=k8s.V1ResourceRequirements(limits=resources, requests=requests),
                    volume_mounts=[
                        k8s.V1VolumeMount(name="training-cache", mount_path=CACHE_FOLDER),
                        # The GPUs of a pod talk to each other through it; the runtime's own is 64 MiB.
                        k8s.V1VolumeMount(name="training-shared-memory", mount_path=SHARED_MEMORY),
                    ],
                )
            ],
            node_selector=environment.kubernetes_node_selector or None,
            tolerations=[_toleration(k8s, given) for given in environment.kubernetes_tolerations] or None,
            volumes=[
                k8s.V1Volume(name="training-cache", **source),
                k8s.V1Volume(
                    name="training-shared-memory",
                    empty_dir=k8s.V1EmptyDirVolumeSource(
                        medium="Memory", size_limit=environment.kubernetes_shared_memory
                    ),
                ),
            ],
        )
    )


def _toleration(k8s: Any, given: Mapping[str, Any]) -> Any:
    fields = {api: python for python, api in k8s.V1Toleration.attribute_map.items()}
    if not given or set(given) - set(fields):
        raise VariableInvalid(
            f"STEEL_TRAINING_KUBERNETES_TOLERATIONS has {given!r}; a toleration has {', '.join(sorted(fields))}."
        )
    return k8s.V1Toleration(**{fields[name]: value for name, value in given.items()})
