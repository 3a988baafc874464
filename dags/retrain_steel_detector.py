"""The training pipeline, from a patch dataset to a published or rejected model.

    resolve_dataset → profile_patches → validate_patches → check_baseline → (audit_labels) → train_head
        → fine_tune → evaluate → verify_bundle → decide ─┬→ (approve_release) → publish_model
                                                         └→ reject_model

Every task runs `python -m steel_training STAGE` in a child process; the command is in its log and can be run by hand. A run
is started by the nightly schedule, by a new dataset version (`steel_dataset_watch`), by a backfill, or by hand.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, Label, TriggerRule, chain
from steel_training_airflow.approval import ApproveReleaseOperator
from steel_training_airflow.form import TIMEZONE, params, resolve_arguments
from steel_training_airflow.kubernetes import training_pod
from steel_training_airflow.notices import VerdictNotifier
from steel_training_airflow.operators import DecideOperator, StageOperator
from steel_training_airflow.schedule import SiteSchedule
from steel_training_airflow.watching import DATASET

from steel_training.environment import Environment

MODEL = Asset("steel_model")
CRON = Environment.read().cron

# One pool slot: two trainings at once, as a backfill would start them, do not fit on a GPU.
GPU = {
    "queue": "gpu",
    "pool": "gpu",
    "execution_timeout": timedelta(hours=12),
    "executor_config": training_pod(),
}
# Both final tasks have several upstream branches, of which all but one are skipped.
END = {"trigger_rule": TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS}
# A task that failed before does not stop this one, as long as one succeeded.
GOES_ON = {"trigger_rule": TriggerRule.ALL_DONE_MIN_ONE_SUCCESS}

# The file is not called steel_training.py: dags/ comes first on the path, and would hide the package.
with DAG(
    dag_id="steel_training",
    description="Retrain the steel defect detector; publish it only when it meets its targets.",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=SiteSchedule(CRON, timezone=TIMEZONE, run_immediately=timedelta(0)), assets=[DATASET]
    ),
    catchup=False,  # with no start date and run_immediately=0, unpausing the DAG waits for the next scheduled time
    max_active_runs=1,
    is_paused_upon_creation=True,
    params=params(),
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=3),
        "on_failure_callback": VerdictNotifier(),
    },
    tags=["steel"],
):
    resolve_dataset = StageOperator(task_id="resolve_dataset", arguments=resolve_arguments)
    profile_patches = StageOperator(task_id="profile_patches")
    validate_patches = StageOperator(task_id="validate_patches")
    check_baseline = StageOperator(task_id="check_baseline", **GPU)
    audit_labels = StageOperator(task_id="audit_labels", **GPU)  # computes features that train_head uses
    train_head = StageOperator(task_id="train_head", **GPU, **GOES_ON)
    fine_tune = StageOperator(task_id="fine_tune", **GPU)
    evaluate = StageOperator(task_id="evaluate")
    verify_bundle = StageOperator(task_id="verify_bundle")
    decide = DecideOperator(task_id="decide", accepted="publish_model", asked="approve_release", refused="reject_model")
    approve_release = ApproveReleaseOperator(
        task_id="approve_release", approved="publish_model", refused="reject_model", response_timeout=timedelta(days=3)
    )
    publish_model = StageOperator(task_id="publish_model", outlets=[MODEL], **END)
    reject_model = StageOperator(task_id="reject_model", on_success_callback=VerdictNotifier(), **END)

    chain(
        resolve_dataset,
        profile_patches,
        validate_patches,
        check_baseline,
        audit_labels,
        train_head,
        fine_tune,
        evaluate,
        verify_bundle,
        decide,
    )
    check_baseline >> train_head  # whatever becomes of the audit
    decide >> Label("meets its targets") >> publish_model
    decide >> Label("a person decides") >> approve_release
    decide >> Label("refused") >> reject_model
    approve_release >> Label("released") >> publish_model
    approve_release >> Label("refused") >> reject_model
