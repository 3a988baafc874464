"""Looks out for new dated versions of the dataset, and tells of each by an event of the asset `steel_dataset`.

    wait_for_version → announce (one a version)

The DAG `steel_training` is scheduled on that asset as well as on the clock. A version counts as new when its manifest, which is
written last, appears or changes (relabelled), and has been at rest between two looks. The wait holds no worker: it is in the
triggerer, and the next one begins as soon as a run has ended.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from steel_training_airflow.watching import DATASET, AnnounceOperator, NewVersionOperator

from steel_training.environment import Environment

environment = Environment.read()

with DAG(
    dag_id="steel_dataset_watch",
    description="Tell the training of new dated versions of the dataset.",
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
