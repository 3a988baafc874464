"""Under the KubernetesExecutor a training task gets its pod; under any other one the DAG holds nothing of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.configuration import conf
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import ApiClient
from kubernetes.client import models as k8s
from steel_training_airflow import kubernetes
from steel_training_airflow.kubernetes import pod_override

from steel_training.environment import Environment, VariableInvalid, variables

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy" / "kubernetes"
TEMPLATE = DEPLOY / "pod-template.yaml"
TRAINING = {"check_baseline", "audit_labels", "train_head", "fine_tune"}
COMMAND = ["python", "-m", "airflow.sdk.execution_time.execute_workload", "--json-string", '{"ti": 1}']

KUBERNETES = "STEEL_TRAINING_KUBERNETES_"
SETTINGS = {
    "STEEL_TRAINING_KUBERNETES_IMAGE": "registry.mill/steel-training-gpu-worker:0.1.0",
    "STEEL_TRAINING_KUBERNETES_GPUS": "2",
    "STEEL_TRAINING_KUBERNETES_MEMORY": "48Gi",
    "STEEL_TRAINING_KUBERNETES_NODE_SELECTOR": '{"accelerator": "a100"}',
    "STEEL_TRAINING_KUBERNETES_TOLERATIONS": '[{"key": "gpu", "operator": "Exists", "tolerationSeconds": 60}]',
    "STEEL_TRAINING_KUBERNETES_CACHE_CLAIM": "steel-cache",
}

_READ = f"""
import json, sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
started = time.process_time()
bag = DagBag({str(ROOT / "dags")!r})
seconds = time.process_time() - started
loaded = "kubernetes.client" in sys.modules
assert not bag.import_errors, bag.import_errors
from airflow.serialization.serialized_objects import DagSerialization
from kubernetes.client import ApiClient
text = json.dumps(DagSerialization.to_dict(bag.dags["steel_training"]))
again = DagSerialization.from_dict(json.loads(text))
pods = {{task.task_id: ApiClient().sanitize_for_serialization(task.executor_config) for task in again.tasks}}
print(json.dumps(dict(seconds=seconds, loaded=loaded, pods=pods)))
"""


def read(folder: Path, executor: str) -> dict[str, Any]:
    """What the scheduler has of the DAG after a fresh process read it under an executor and it went through the database."""
    environment = {**os.environ, **SETTINGS, "AIRFLOW_HOME": str(folder), "AIRFLOW__CORE__EXECUTOR": executor}
    done = subprocess.run([sys.executable, "-c", _READ], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def final_pod(override: k8s.V1Pod | None) -> dict[str, Any]:
    """The pod that the KubernetesExecutor asks the cluster for, as its API would get it."""
    pod = PodGenerator.construct_pod(
        dag_id="steel_training",
        task_id="train_head",
        pod_id="steel-training-train-head-abc",
        try_number=1,
        kube_image="",
        date=None,
        args=COMMAND,
        pod_override_object=override,
        base_worker_pod=PodGenerator.deserialize_model_file(str(TEMPLATE)),
        namespace="steel",
        scheduler_job_id="7",
        run_id="manual__1",
    )
    sent: dict[str, Any] = ApiClient().sanitize_for_serialization(pod)
    return sent


def override(variables: dict[str, str]) -> k8s.V1Pod:
    """The pod override of an installation with these variables."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        return pod_override(Environment.read())


def named(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({item["name"] for item in items}) == len(items), "a name stands twice"
    return {item["name"]: item for item in items}


@pytest.fixture(scope="module")
def under_kubernetes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return read(tmp_path_factory.mktemp("airflow"), "KubernetesExecutor")


@pytest.fixture
def training(under_kubernetes: dict[str, Any]) -> dict[str, Any]:
    """The final pod of a training task whose override came out of the serialized DAG."""
    return final_pod(PodGenerator.deserialize_model_dict(under_kubernetes["pods"]["train_head"]["pod_override"]))


def test_only_training_tasks_override_the_pod(under_kubernetes: dict[str, Any]) -> None:
    assert {task for task, config in under_kubernetes["pods"].items() if config} == TRAINING


@pytest.mark.parametrize("executor", ["LocalExecutor", "CeleryExecutor"])
def test_other_executors_never_import_kubernetes(executor: str, tmp_path: Path) -> None:
    found = read(tmp_path, executor)
    assert set(found["pods"]) >= TRAINING
    assert not any(found["pods"].values())
    assert not found["loaded"]


def test_dag_import_with_kubernetes_is_fast(under_kubernetes: dict[str, Any]) -> None:
    assert under_kubernetes["loaded"]
    assert under_kubernetes["seconds"] < 5


def test_final_pod_runs_the_command_with_a_gpu(training: dict[str, Any]) -> None:
    (container,) = training["spec"]["containers"]
    assert container["name"] == "base"
    assert container["args"] == COMMAND
    assert "command" not in container
    assert container["image"] == SETTINGS["STEEL_TRAINING_KUBERNETES_IMAGE"]
    assert container["resources"]["limits"] == {"memory": "48Gi", "nvidia.com/gpu": "2"}
    assert container["resources"]["requests"] == {"cpu": "4", "memory": "48Gi", "nvidia.com/gpu": "2"}
    assert training["spec"]["nodeSelector"] == {"accelerator": "a100"}
    assert training["spec"]["tolerations"] == [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 60}]
    assert training["metadata"]["namespace"] == "steel"
    assert training["metadata"]["labels"]["task_id"] == "train_head"


def test_final_pod_keeps_the_template_fields(training: dict[str, Any]) -> None:
    (container,) = training["spec"]["containers"]
    template = yaml.safe_load(TEMPLATE.read_text())["spec"]
    for field in ("securityContext", "serviceAccountName", "automountServiceAccountToken", "restartPolicy"):
        assert training["spec"][field] == template[field]
    assert container["securityContext"] == template["containers"][0]["securityContext"]
    assert container["envFrom"] == template["containers"][0]["envFrom"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts.keys() == {"/tmp", "/opt/airflow/logs", "/dev/shm", kubernetes.CACHE_FOLDER}
    volumes = named(training["spec"]["volumes"])
    assert set(mounts.values()) == set(volumes)
    assert volumes[mounts[kubernetes.CACHE_FOLDER]]["persistentVolumeClaim"] == {"claimName": "steel-cache"}
    assert volumes[mounts["/dev/shm"]]["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}
    variables = {variable["name"]: variable for variable in container["env"]}
    assert variables["STEEL_TRAINING_SCRATCH"]["value"] == kubernetes.CACHE_FOLDER


def test_secrets_are_only_referenced_by_name(training: dict[str, Any]) -> None:
    variables = training["spec"]["containers"][0]["env"]
    references = {variable["name"] for variable in variables if "secretKeyRef" in variable.get("valueFrom", {})}
    assert "AIRFLOW__CORE__FERNET_KEY" in references
    for word in ("KEY", "SECRET", "PASSWORD", "TOKEN", "CONN"):
        assert {variable["name"] for variable in variables if word in variable["name"]} <= references


def test_other_tasks_use_the_template_without_gpu() -> None:
    pod = final_pod(None)
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "steel-training-worker:0.1.0"
    assert container["args"] == COMMAND
    assert "nvidia.com/gpu" not in json.dumps(pod)


def test_defaults_are_one_gpu_and_emptydir_cache() -> None:
    pod = final_pod(override({}))
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "steel-training-worker:0.1.0"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert "nodeSelector" not in pod["spec"]
    assert named(pod["spec"]["volumes"])["training-cache"]["emptyDir"] == {}


def test_zero_gpus_can_be_requested() -> None:
    pod = final_pod(override({f"{KUBERNETES}GPUS": "0", f"{KUBERNETES}TOLERATIONS": "[]"}))
    assert "nvidia.com/gpu" not in json.dumps(pod)
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"memory": "16Gi"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GPUS", "one"),
        ("GPUS", "-1"),
        ("NODE_SELECTOR", "accelerator=a100"),
        ("NODE_SELECTOR", '["a100"]'),
        ("NODE_SELECTOR", '{"gpu": true}'),
        ("TOLERATIONS", "{}"),
        ("TOLERATIONS", '[{"keys": "gpu"}]'),
        ("TOLERATIONS", '["gpu"]'),
    ],
)
def test_invalid_variable_is_reported_by_name(name: str, value: str) -> None:
    with pytest.raises(VariableInvalid, match=rf"{KUBERNETES}{name} (is|has) .*; (expected .|a toleration has .)"):
        override({f"{KUBERNETES}{name}": value})


def test_shared_memory_can_be_configured() -> None:
    pod = final_pod(override({f"{KUBERNETES}SHARED_MEMORY": "8Gi"}))
    assert named(pod["spec"]["volumes"])["training-shared-memory"]["emptyDir"]["sizeLimit"] == "8Gi"


def test_template_has_only_known_fields() -> None:
    """The client drops what it does not know: what is sent must be all that is written."""
    written = yaml.safe_load(TEMPLATE.read_text())
    sent = ApiClient().sanitize_for_serialization(PodGenerator.deserialize_model_file(str(TEMPLATE)))
    assert sent == written


def test_chart_values_are_valid_without_secrets() -> None:
    values = yaml.safe_load((DEPLOY / "values.yaml").read_text())
    assert values["executor"] == "KubernetesExecutor"
    assert values["dags"]["gitSync"]["enabled"] is False
    for section, options in values["config"].items():
        for option in options:
            assert conf.get(section, option, fallback=None) is not None, f"[{section}] {option}"
    settings = {entry["name"] for entry in values["env"]}
    assert settings <= {each.name for each in variables() if each.name.startswith(KUBERNETES)}
    assert "airflow pools set gpu 1" in values["migrateDatabaseJob"]["args"][-1]
    template = PodGenerator.deserialize_model_file(str(TEMPLATE)).spec.containers[0]
    sources = [{"secretRef": {"name": s.secret_ref.name}} for s in template.env_from if s.secret_ref]
    assert sources[0] in yaml.safe_load(values["extraEnvFrom"])
    fernet = next(v for v in template.env if v.name == "AIRFLOW__CORE__FERNET_KEY")
    assert fernet.value_from.secret_key_ref.name == values["fernetKeySecretName"]
