"""A run's tab tells its verdict, or how far it is."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import delete, update

from steel_training.runs.result import StageResult, Status, safe_run_id
from steel_training.runs.run import Run
from steel_training.verdict import Reason

from .conftest import TARGETS, Markup, metrics

AIRFLOW_ID = "manual__2026-11-24T00:10:00+00:00"
PAGE = f"/steel-training/runs/{quote(AIRFLOW_ID, safe='')}"


def finish(store, stage, status=Status.DONE, reasons=(), **outputs):
    """Does a stage of the run for the store, as the line does."""
    run = Run(store, safe_run_id(AIRFLOW_ID))
    run.perform(stage, {"at": str(datetime.now(UTC))}, lambda _: StageResult(stage, status, tuple(reasons), outputs))


def look(browser, **query):
    answer = browser("viewer").get(PAGE, params=query)
    assert answer.status_code == 200
    return answer.text, Markup(answer.text).text


def test_a_run_that_nobody_knows_is_told_as_such(any_store, browser):
    text, said = look(browser)
    assert "Unknown run" in said
    assert AIRFLOW_ID in said


def test_unfinished_run_shows_stages_and_refreshes(any_store, browser):
    finish(any_store, "resolve_dataset", dataset="s3://mill/strip/2026-11-20", version="2026-11-20")
    finish(any_store, "profile_patches")
    text, said = look(browser)
    assert '<meta http-equiv="refresh" content="10">' in text
    assert "Not decided yet" in said
    assert "2 stages have finished" in said
    assert said.count("✓") == 2
    assert "train_head" in said
    assert "not finished" in said
    assert "2026-11-20" in said


@pytest.mark.parametrize(
    ("stage", "status", "outputs", "headline"),
    [
        ("validate_patches", Status.BLOCKED, {"data_docs": "data_docs/index.html"}, "■ Blocked"),
        ("check_baseline", Status.BLOCKED, {}, "■ Blocked"),
        ("evaluate", Status.REFUSED, {"verdict": "rejected", "metrics": {}}, "✗ Rejected"),
        ("reject_model", Status.DONE, {"verdict": "rejected", "version": None}, "✗ Rejected"),
        ("publish_model", Status.DONE, {"verdict": "published", "version": "20261124-aa", "champion": "20261124-aa"}, "✓ Published"),
        ("resolve_dataset", Status.UNCHANGED, {"previous": {"version": "20261123-aa", "run_id": "before"}}, "○ Unchanged"),
    ],
)  # fmt: skip
def test_finished_run_shows_verdict_without_refresh(any_store, browser, stage, status, outputs, headline):
    finish(any_store, stage, status, [Reason("leak.group", "3 coils stand on both sides")], **outputs)
    any_store.write(f"runs/{safe_run_id(AIRFLOW_ID)}/report.html", b"x")
    text, said = look(browser)
    assert headline in said
    assert "leak.group" in said
    assert "3 coils stand on both sides" in said
    assert "refresh" not in text
    assert f'href="/steel-training/files/runs/{safe_run_id(AIRFLOW_ID)}/report.html"' in text
    assert ("Data Docs" in said) is ("data_docs" in outputs)
    version = outputs.get("version") or outputs.get("previous", {}).get("version")
    assert version is None or f'href="/steel-training/versions/{version}"' in text


def test_data_docs_link_prefers_baseline_check(any_store, browser):
    finish(any_store, "validate_patches", data_docs="data_docs/index.html")
    finish(any_store, "check_baseline")
    folder = f'href="/steel-training/files/runs/{safe_run_id(AIRFLOW_ID)}'
    assert f"{folder}/validate_patches/data_docs/index.html" in look(browser)[0]
    finish(any_store, "check_baseline", data_docs="data_docs/index.html")
    text, _ = look(browser)
    assert f"{folder}/check_baseline/data_docs/index.html" in text
    assert "validate_patches/data_docs" not in text


def test_the_figures_of_a_judged_run_stand_against_its_targets(any_store, browser):
    finish(any_store, "evaluate", metrics=metrics(0.91), targets=TARGETS, evidence="point",
           counts={"tp": 91, "fn": 9, "fp": 3, "tn": 97})  # fmt: skip
    _, said = look(browser)
    assert "Missed 9 of 100 defects; 3 false alarms among 100 clean patches." in said
    assert "✗ not met" in said
    assert "✓ met" in said


def test_a_torn_result_is_named(any_store, browser):
    finish(any_store, "resolve_dataset")
    any_store.write(f"runs/{safe_run_id(AIRFLOW_ID)}/evaluate/result.json", b"{")
    _, said = look(browser)
    assert "The result of evaluate cannot be read; run that stage again." in said


def test_a_value_of_another_type_is_named_with_its_record(any_store, browser):
    finish(any_store, "resolve_dataset")
    finish(any_store, "evaluate", metrics="high", targets=TARGETS)
    finish(any_store, "audit_labels", suspects=[])
    _, said = look(browser)
    assert "evaluate/result.json) cannot be read (metrics is 'high'; expected an object)" in said
    assert "audit_labels/result.json) cannot be read (suspects is []; expected a whole number)" in said
    assert said.count("repeat the run under another --run-id") == 2


def test_runs_of_other_dags_have_no_verdict(any_store, browser):
    _, said = look(browser, dag="watch_steel_datasets")
    assert "Runs of watch_steel_datasets have none" in said


def test_run_id_with_slash_or_dots_stays_in_store(any_store, browser):
    for run_id in ("../../etc", "a/b", "..", "\u2028", "x" * 300):
        answer = browser("viewer").get(f"/steel-training/runs/{quote(run_id, safe='')}")
        assert answer.status_code in (200, 404), run_id


@pytest.fixture
def in_airflow(server):
    """A run in Airflow's database, made of the real DAG, with all tasks not begun; says how to set the state of tasks."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    bag = DagBag()
    with create_session() as session:
        from airflow.models.dagbundle import DagBundleModel

        if session.get(DagBundleModel, "dags-folder") is None:
            session.add(DagBundleModel(name="dags-folder"))
            session.commit()
        sync_bag_to_db(bag, "dags-folder", None, session=session)
    dag = SerializedDagModel.get("steel_training").dag
    now = datetime.now(UTC)
    dag.create_dagrun(
        run_id=AIRFLOW_ID, run_type=DagRunType.MANUAL, run_after=now, state="running", logical_date=None,
        data_interval=None, triggered_by=DagRunTriggeredByType.TEST,
    )  # fmt: skip

    def set_(run=None, **tasks):
        with create_session() as session:
            for task, state in tasks.items():
                session.execute(
                    update(TaskInstance)
                    .where(TaskInstance.run_id == AIRFLOW_ID, TaskInstance.task_id == task)
                    .values(state=state, start_date=now)
                )
            if run:
                session.execute(update(DagRun).where(DagRun.run_id == AIRFLOW_ID).values(state=run))

    yield set_
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.run_id == AIRFLOW_ID))


def test_what_airflow_does_now_is_told_beside_what_has_finished(any_store, browser, in_airflow):
    finish(any_store, "resolve_dataset")
    in_airflow(resolve_dataset="success", profile_patches="running", validate_patches="scheduled")
    text, said = look(browser)
    assert "in Airflow: running" in said
    assert "running since" in said
    assert "refresh" in text
    in_airflow("failed", profile_patches="failed", validate_patches="upstream_failed")
    text, said = look(browser)
    assert "Failed without a verdict" in said
    assert "refresh" not in text


def test_verdict_of_earlier_attempt_is_hidden_on_rerun(any_store, browser, in_airflow):
    """A backfill that reprocesses a date does it under the same run id."""
    finish(any_store, "reject_model", verdict="rejected")
    in_airflow(resolve_dataset="running")
    text, said = look(browser)
    assert "Not decided yet" in said
    assert "Rejected" not in said
    in_airflow("success", reject_model="success", resolve_dataset="success")
    assert "Rejected" in look(browser)[1]
