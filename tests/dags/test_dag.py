"""The DAG is the drawing, is read quickly, and loads nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from steel_training.config import settings
from steel_training.runs.result import STAGES

ROOT = Path(__file__).resolve().parents[2]
TRAINING = {"check_baseline", "audit_labels", "train_head", "fine_tune"}
HEAVY = {"tensorflow", "keras", "great_expectations", "boto3", "matplotlib", "sklearn"}


@pytest.fixture(scope="module")
def dag() -> Any:
    bag = DagBag(str(ROOT / "dags"))
    assert bag.import_errors == {}
    assert set(bag.dags) == {"steel_training", "steel_dataset_watch", "steel_champion_watch"}
    return bag.dags["steel_training"]


def test_tasks_are_the_stages_of_a_run(dag: Any) -> None:
    assert set(dag.task_ids) == set(STAGES)
    assert {task.stage for task in dag.tasks} == set(STAGES)


def test_edges_match_the_documented_graph(dag: Any) -> None:
    line = [*STAGES[: STAGES.index("decide") + 1]]
    ends = {(judge, end) for judge in ("decide", "approve_release") for end in ("publish_model", "reject_model")}
    expected = {*pairwise(line), ("check_baseline", "train_head"), ("decide", "approve_release"), *ends}
    assert {(task.task_id, after) for task in dag.tasks for after in task.downstream_task_ids} == expected


def test_edges_of_branches_have_labels(dag: Any) -> None:
    for judge in ("decide", "approve_release"):
        assert dag.get_edge_info(judge, "publish_model")["label"]
        assert dag.get_edge_info(judge, "reject_model")["label"]


def test_a_failed_audit_does_not_stop_the_run(dag: Any) -> None:
    train_head = dag.get_task("train_head")
    assert train_head.upstream_task_ids == {"check_baseline", "audit_labels"}
    # Failed and succeeded: goes on. Both failed, as where check_baseline blocks: does not.
    assert train_head.trigger_rule == "all_done_min_one_success"


def test_only_training_stages_ask_for_the_gpu(dag: Any) -> None:
    assert {task.task_id for task in dag.tasks if task.queue == "gpu"} == TRAINING
    assert {task.task_id for task in dag.tasks if task.pool == "gpu"} == TRAINING


def test_tasks_have_retries_and_a_timeout(dag: Any) -> None:
    for task in dag.tasks:
        assert task.retries == 2
        assert task.retry_exponential_backoff > 1
        assert task.execution_timeout is not None


def test_only_publish_updates_the_model_asset(dag: Any) -> None:
    assert {task.task_id for task in dag.tasks if task.outlets} == {"publish_model"}


def test_schedule_is_cron_or_dataset_asset(dag: Any) -> None:
    assert dag.timetable.timetable.summary == "0 2 * * *"
    assert [asset.name for asset in dag.timetable.asset_condition.objects] == ["steel_dataset"]
    assert dag.max_active_runs == 1
    assert not dag.catchup
    assert dag.is_paused_upon_creation


def test_params_are_settings_and_dataset(dag: Any) -> None:
    assert set(dag.params) == {key for key, _ in settings()} | {"dataset", "date", "promote_backfill"}
    dag.params.validate()


def test_serialized_dag_keeps_backfill_and_links(dag: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert set(again.task_ids) == set(STAGES)
    assert again.timetable.periodic  # which backfills ask for
    assert again.get_task("evaluate").extra_links == sorted(
        ["Files", "Data Docs", "Report", "TensorBoard", "Model version"]
    )


@pytest.mark.parametrize("name", ["retrain_steel_detector.py", "watch_steel_dataset.py", "watch_steel_champion.py"])
def test_dag_file_fits_on_two_screens(name: str) -> None:
    assert len((ROOT / "dags" / name).read_text().splitlines()) < 120


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a fresh process, such as the DAG processor, finds and loads."""
    source = f"""
import json, sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
started = time.process_time()
bag = DagBag({str(ROOT / "dags")!r})
seconds = time.process_time() - started
from airflow import plugins_manager
plugins, plugin_errors = plugins_manager._get_plugins()
print(json.dumps(dict(
    seconds=seconds, modules=sorted(sys.modules), errors={{**bag.import_errors, **plugin_errors}}, dags=list(bag.dags),
    plugins=[plugin.name for plugin in plugins],
)))
"""
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")), "STEEL_TRAINING_DATASET": "s3://a/b"}
    done = subprocess.run([sys.executable, "-c", source], env=env, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_fresh_process_imports_dag_and_plugin(fresh: dict[str, Any]) -> None:
    assert fresh["errors"] == {}
    assert set(fresh["dags"]) == {"steel_training", "steel_dataset_watch", "steel_champion_watch"}
    assert "steel_training" in fresh["plugins"]


def test_dag_import_is_fast_and_light(fresh: dict[str, Any]) -> None:
    assert fresh["seconds"] < 5
    assert HEAVY.isdisjoint(fresh["modules"])


def test_airflow_ignores_the_plugin_package_files(fresh: dict[str, Any]) -> None:
    assert {"operators", "form", "links", "child"}.isdisjoint(fresh["modules"])
