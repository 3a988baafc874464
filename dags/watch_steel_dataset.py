"""Watches for new dataset versions and emits an event of the asset `steel_dataset` for each.

    wait_for_version → announce (one per version)

The DAG `steel_training` is scheduled on that asset and by cron. A version counts as new when its manifest, which is written
last, appears or changes (relabelling) and has then been unchanged for one polling interval. The wait occupies no worker: it
runs in the triggerer, and the next run starts as soon as this one has ended.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from steel_training_airflow.watching import DATASET, AnnounceOperator, NewVersionOperator

from steel_training.environment import Environment

environment = Environment.read()

with DAG(
    dag_id="steel_dataset_watch",
    description="Start a training for every new version of the dataset.",
    doc_md=__doc__,
    schedule="@continuous",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    is_paused_upon_creation=True,
    default_args={"retries": 5, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": 2.0},
    tags=["steel"],
):
    wait_for_version = NewVersionOperator(
        task_id="wait_for_version",
        root=environment.dataset,
        seconds=environment.watch_seconds,
    )
    AnnounceOperator.partial(task_id="announce", outlets=[DATASET], max_active_tis_per_dag=1).expand(
        version=wait_for_version.output
    )
