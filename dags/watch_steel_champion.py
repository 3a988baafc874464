"""Watches the champion and emits an event of the asset `steel_champion` whenever it has moved.

    wait_for_move → announce (one per model name)

Schedule a DAG that deploys the model on that asset. An event comes for a publication that made its model champion, and for every
promotion and rollback, on the models page or by command line; a model that was registered only (a backfill) makes none. The
wait occupies no worker: it runs in the triggerer, and the next run starts as soon as this one has ended.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from steel_training_airflow.champion_watching import CHAMPION, AnnounceChampionOperator, ChampionMovedOperator

from steel_training.environment import Environment

with DAG(
    dag_id="steel_champion_watch",
    description="Tell other DAGs that the champion has moved.",
    doc_md=__doc__,
    schedule="@continuous",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    is_paused_upon_creation=True,
    default_args={"retries": 5, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": 2.0},
    tags=["steel"],
):
    wait_for_move = ChampionMovedOperator(task_id="wait_for_move", seconds=Environment.read().watch_seconds)
    AnnounceChampionOperator.partial(task_id="announce", outlets=[CHAMPION], max_active_tis_per_dag=1).expand(
        move=wait_for_move.output
    )
