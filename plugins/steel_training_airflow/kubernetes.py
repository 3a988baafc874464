"""The pod of a training task under the KubernetesExecutor: CUDA image, GPUs, memory, volume for the feature cache.

The rest of the pod (secrets, service account, image of the other tasks) comes from the pod template of the installation
(`deploy/kubernetes/pod-template.yaml`, `docs/kubernetes.md`). Under any other executor there is no override, and the
`kubernetes` package, which takes seconds to import, is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steel_training.environment import Environment, VariableInvalid

GPU_RESOURCE = "nvidia.com/gpu"
CACHE_FOLDER = "/var/cache/steel-training"
SHARED_MEMORY = "/dev/shm"  # noqa: S108  # nosec B108


def training_pod() -> dict[str, Any]:
    """Return the `executor_config` of a training task: a pod override, or an empty one under another executor.

    Raises:
        VariableInvalid: a variable has an invalid value; it is shown as an import error of the DAG.
    """
    from airflow.configuration import conf

    if "KubernetesExecutor" not in conf.get("core", "executor", fallback=""):
        return {}
    return {"pod_override": pod_override(Environment.read())}


def pod_override(environment: Environment) -> Any:
    """Build the `V1Pod` that is merged over the installation's template.

    Args:
        environment: the `kubernetes_…` variables are read.

    Raises:
        VariableInvalid: see `training_pod`.
    """
    from kubernetes.client import models as k8s

    resources = {"memory": environment.kubernetes_memory}
    requests = {**resources, "cpu": environment.kubernetes_cpu}
    if gpus := environment.kubernetes_gpus:
        # The device plugin requires a limit, and a request equal to it.
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
                        # NCCL communicates through it; the container runtime's default is 64 MiB.
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
