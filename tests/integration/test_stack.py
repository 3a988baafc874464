"""What docker-compose.yaml describes, as processes: it trains, publishes and rejects, with data and models on S3 alone."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from airflow_api import AirflowApi
from composed.stack import Stack
from make_env import SECRETS
from nights import next_night

from steel_training.registry import Registry
from steel_training.runs.result import safe_run_id
from steel_training.storage import open_storage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

DAG = "steel_training"
MODEL = "steel-defects"
MODELS_PAGE = "/steel-training"
RUN_WITHIN_SECONDS = 3000  # a last resort; two to three minutes on two quiet cores
# Little work, and targets that this little work reaches.
QUICK = {
    "model.weights": "steel",
    "data.input_size": 96,
    "training.views": 2,
    "baseline.input_size": 32,
    "baseline.batch_size": 16,
    "baseline.min_steps": 60,
    "training.head.epochs": 8,
    "training.head.learning_rate": 0.003,
    "training.fine_tune.epochs": 1,
    "training.fine_tune.learning_rate": 0.001,
    "gate.resamples": 100,
    "gate.recall": 0.8,
    "gate.precision": 0.5,
    "gate.f2": 0.7,
    "gate.auc": 0.8,
    "publish.force": True,
}
# No model passes: a bound of 0.95 cannot be shown on so few defects.
OUT_OF_REACH = {**QUICK, "training.head.epochs": 4, "gate.evidence": "bound", "gate.recall": 0.95}


@pytest.fixture(scope="module")
def published(stack: Stack, admin: AirflowApi) -> str:
    """A run that ended as published, and whose GPU worker was killed in a training."""
    run = admin.trigger(DAG, QUICK)
    name = run.rpartition("/")[2]
    until = time.monotonic() + RUN_WITHIN_SECONDS
    while "backbone EfficientNetB0" not in (said := admin.log(run, "train_head")):
        assert time.monotonic() < until, f"{admin.states(run)}\n{said}"
        time.sleep(1)
    assert stage_processes("train_head", name) != [], "it was too late"
    stack.processes["gpu-worker-on-cpu"].kill()
    assert stage_processes("train_head", name) == []
    stack.start("gpu-worker-on-cpu")  # as `restart: unless-stopped` does

    states = {task: t["state"] for task, t in admin.ended(run, RUN_WITHIN_SECONDS).items()}
    assert states["publish_model"] == "success", states
    assert states["reject_model"] == "skipped", states
    return run


@pytest.fixture(scope="module")
def rejected(stack: Stack, admin: AirflowApi, published: str) -> str:
    """A run that ended, and whose scheduler was killed twice on the way: before the dataset was measured, and in a training."""
    run = admin.trigger(DAG, OUT_OF_REACH)
    until = time.monotonic() + RUN_WITHIN_SECONDS
    for task in ("profile_patches", "train_head"):
        while not admin.has_begun(run, task):
            assert time.monotonic() < until, admin.states(run)
            time.sleep(0.5)
        stack.processes["scheduler"].kill()
        time.sleep(1)
        stack.start("scheduler")
    admin.ended(run, RUN_WITHIN_SECONDS)
    return run


def registry(stack: Stack) -> Registry:
    return Registry(open_storage(stack.env["STEEL_TRAINING_STORE"]), MODEL)


def test_every_service_passes_its_health_check(stack: Stack) -> None:
    """The fixture has waited for each check to succeed; here, that it was asked for, and that the service has not ended since."""
    for name, service in stack.services.items():
        assert service.healthcheck is None or name in stack.seconds, name
        assert stack.processes.get(name) is None or name == "init" or stack.processes[name].code is None, name


def test_no_night_falls_while_the_stack_is_tested(admin: AirflowApi) -> None:
    """At 02:00 there would be a run more, with decisions of its own."""
    assert next_night(admin, DAG) - datetime.now(UTC) > timedelta(days=30)


def test_published_run_updates_the_champion_on_s3(stack: Stack, published: str) -> None:
    champion, _ = registry(stack).champion()
    assert champion is not None
    assert stack.env["STEEL_TRAINING_STORE"].startswith("s3://")
    assert list((stack.folder / "folder").iterdir()) == []


def test_only_trainings_ran_on_the_gpu_worker(admin: AirflowApi, published: str) -> None:
    where = {task: (t["queue"], t["hostname"]) for task, t in admin.tasks(published).items() if t["state"] == "success"}
    trainings = {"check_baseline", "audit_labels", "train_head", "fine_tune"}
    assert trainings < set(where)
    for task, place in where.items():
        expected = ("gpu", "gpu-worker-on-cpu") if task in trainings else ("default", "worker")
        assert place == expected, task


def test_tensorboard_shows_the_trainings_of_the_run(stack: Stack, published: str) -> None:
    run = published.rpartition("/")[2]
    until = time.monotonic() + 300
    shown = ""
    while not all(f"/{stage}/validation" in shown for stage in ("check_baseline", "train_head", "fine_tune")):
        assert time.monotonic() < until, f"no training of {run}: {shown}"
        time.sleep(2)
        with urllib.request.urlopen(f"http://localhost:{stack.ports['tensorboard']}/data/runs", timeout=120) as answer:
            shown = answer.read().decode()
    with urllib.request.urlopen(f"http://localhost:{stack.ports['tensorboard']}/data/plugin/scalars/tags") as answer:
        assert b"epoch_recall" in answer.read()


def test_outputs_of_a_run_contain_no_secret(stack: Stack, admin: AirflowApi, published: str) -> None:
    """Logs, XComs, and everything on S3: reports, results, TensorBoard's files, the published bundle."""
    secrets = {name: stack.env[name].encode() for name in SECRETS}
    assert all(len(secret) >= 16 for secret in secrets.values())
    left = {"XCom": b"", "log": b""}
    for task, instance in admin.tasks(published).items():
        left["XCom"] += admin.read(f"{published}/taskInstances/{task}/xcomEntries?limit=100")
        if instance["state"] != "skipped":
            left["XCom"] += admin.read(f"{published}/taskInstances/{task}/xcomEntries/return_value?stringify=true")
            left["log"] += admin.log(published, task).encode()
    assert b"Running: " in left["log"]
    assert b"fine_tune" in left["XCom"]
    store = open_storage(stack.env["STEEL_TRAINING_STORE"])
    left |= {entry.key: store.read(entry.key) for entry in store.entries()}
    assert any(key.endswith("report.html") for key in left)
    found = {(name, where) for where, content in left.items() for name, secret in secrets.items() if secret in content}
    assert found == set()


def test_rejected_model_leaves_the_champion(stack: Stack, admin: AirflowApi, published: str, rejected: str) -> None:
    states = admin.states(rejected)
    assert (states["publish_model"], states["reject_model"]) == ("skipped", "success"), states
    decisions = registry(stack).decisions()
    assert [(d["run_id"], d["verdict"]) for d in decisions] == [
        (safe_run_id(published.rpartition("/")[2]), "published"),
        (safe_run_id(rejected.rpartition("/")[2]), "rejected"),
    ]
    assert registry(stack).champion()[0] == decisions[0]["version"]


def test_viewer_sees_runs_but_starts_none(stack: Stack, published: str) -> None:
    viewer = AirflowApi(stack.address, "viewer", stack.env["AIRFLOW_VIEWER_PASSWORD"])
    assert viewer.ask(published)["state"] == "success"
    assert viewer.status(f"/api/v2/dags/{DAG}/dagRuns", {"logical_date": None, "conf": {}}) == 403


def test_models_page_reads_the_store_of_the_stack(stack: Stack, admin: AirflowApi, published: str) -> None:
    if not any(app["url_prefix"] == MODELS_PAGE for p in admin.plugins() for app in p["fastapi_apps"]):
        pytest.skip("no plugin brings the models page")
    champion, _ = registry(stack).champion()
    assert champion is not None
    assert champion in admin.read(f"{MODELS_PAGE}/").decode()


def test_run_survives_a_killed_scheduler(admin: AirflowApi, rejected: str) -> None:
    tasks = admin.tasks(rejected)
    assert admin.ask(rejected)["state"] == "success", {task: t["state"] for task, t in tasks.items()}
    assert {t["try_number"] for t in tasks.values() if t["state"] == "success"} == {1}, "no stage was done twice"


def test_run_survives_a_killed_gpu_worker(admin: AirflowApi, published: str) -> None:
    tries = {task: t["try_number"] for task, t in admin.tasks(published).items() if t["state"] == "success"}
    assert tries == {task: 2 if task == "train_head" else 1 for task in tries}
    assert admin.ask(published)["state"] == "success"


def stage_processes(stage: str, run: str) -> list[str]:
    """The command lines of processes that work at a stage of a run."""
    listed = subprocess.run(["ps", "-wweo", "args"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [line for line in listed.splitlines() if f"-m steel_training {stage} --run-id {safe_run_id(run)}" in line]
