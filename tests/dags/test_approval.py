"""A person sees the metrics; the stage records the answer before it decides the branch."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, DownstreamTasksSkipped
from steel_training_airflow.approval import ApproveReleaseOperator, question
from steel_training_airflow.operators import StageOperator

ADA = {"id": "7", "name": "Ada"}


@pytest.fixture
def approve(stage_program: Callable[[str], None], store: Path, tmp_path: Path) -> ApproveReleaseOperator:
    """The task, over a stage that notes how it was called."""
    answer = {"stage": "approve_release", "status": "done", "reasons": [], "outputs": {}}
    stage_program(f"open({str(tmp_path / 'asked')!r}, 'w').write(json.dumps(argv))\nprint({json.dumps(answer)!r})")
    with DAG("line", schedule=None):
        task = ApproveReleaseOperator(task_id="approve_release", approved="publish_model", refused="reject_model")
        task >> [StageOperator(task_id="publish_model"), StageOperator(task_id="reject_model")]
    return task


def answered(option: str, reason: str | None = None, user: dict[str, str] | None = ADA) -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": {"reason": reason},
        "responded_at": datetime.now(UTC),
        "responded_by_user": user,
    }


@pytest.mark.parametrize(
    ("event", "words", "skipped"),
    [
        (answered("Approve"), ["--by", "Ada"], "reject_model"),
        (answered("Approve", "looks fine"), ["--by", "Ada"], "reject_model"),
        (answered("Reject", "new lamps"), ["--by", "Ada", "--refuse", "new lamps"], "publish_model"),
        (answered("Reject", "--by Eve"), ["--by", "Ada", "--refuse", "--by Eve"], "publish_model"),
        (answered("Reject"), ["--by", "Ada", "--refuse", "no reason given"], "publish_model"),
        (
            answered("Reject", user=None),
            ["--by", "nobody (no answer in time)", "--refuse", "no reason given"],
            "publish_model",
        ),
    ],
)
def test_answer_is_recorded_and_decides_the_branch(
    approve: ApproveReleaseOperator, context: Callable[..., Any], tmp_path: Path, event: Any, words: Any, skipped: str
) -> None:
    seen = context()
    seen["ti"].task, seen["ti"].map_index = approve, -1
    seen["task"] = approve
    with pytest.raises(DownstreamTasksSkipped) as caught:
        approve.execute_complete(seen, event)
    assert [task_id for task_id, _ in caught.value.tasks] == [skipped]
    assert json.loads((tmp_path / "asked").read_text())[7:] == words


def test_unrecorded_answer_decides_nothing(
    approve: ApproveReleaseOperator, context: Callable[..., Any], stage_program: Callable[[str], None]
) -> None:
    stage_program("print('the store is gone', file=sys.stderr); sys.exit(1)")
    with pytest.raises(AirflowException, match="the store is gone"):
        approve.execute_complete(context(), answered("Approve"))


def test_no_answer_in_time_is_a_refusal(approve: ApproveReleaseOperator) -> None:
    assert list(approve.serialized_params) == ["reason"]
    assert approve.params.get_param("reason").resolve() is None, "nobody must write something to approve"
    assert approve.defaults == ["Reject"]


def test_request_shows_metrics_targets_and_errors() -> None:
    judged = {
        "recall": {"value": 0.9731, "bound": 0.947, "target": 0.95},
        "auc": {"value": 0.98, "bound": None, "target": None},
    }
    decided = {"figures": judged, "defects": 260, "missed": 7, "clean": 720, "false_alarms": 99, "champion": None}
    text = question(decided, "http://mill/report.html")
    assert "| recall | 0.9731 | 0.9470 | 0.9500 |" in text
    assert "| auc | 0.9800 | – | – |" in text
    assert "7 of 260 defects missed, 99 false alarms among 720 clean patches" in text
    assert "(http://mill/report.html)" in text
