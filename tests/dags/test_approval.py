"""A person sees the metrics; the stage records the answer before it decides the branch."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, DownstreamTasksSkipped, TaskAwaitingInput
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
        (answered("Approve"), ["--by", "Ada", "--user", "7"], "reject_model"),
        (answered("Approve", "looks fine"), ["--by", "Ada", "--user", "7"], "reject_model"),
        (answered("Reject", "new lamps"), ["--by", "Ada", "--user", "7", "--refuse", "new lamps"], "publish_model"),
        (answered("Reject", "--by Eve"), ["--by", "Ada", "--user", "7", "--refuse", "--by Eve"], "publish_model"),
        (answered("Reject"), ["--by", "Ada", "--user", "7", "--refuse", "no reason given"], "publish_model"),
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


def test_task_waits_again_until_another_person_releases(
    approve: ApproveReleaseOperator,
    context: Callable[..., Any],
    stage_program: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[dict[str, str]]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **details: asked.append(details["assigned_users"]))
    waiting = {"stage": "approve_release", "status": "done", "reasons": [], "outputs": {"by": "Ada", "waiting": True}}
    stage_program(f"print({json.dumps(waiting)!r})")
    seen = context()
    seen["ti"].task, seen["task"], seen["task_instance"] = approve, approve, seen["ti"]
    seen["ti"].id, approve.notifiers = "1", []
    approve.assigned_users = [{"id": "7", "name": "7"}, {"id": "8", "name": "8"}]
    with pytest.raises(TaskAwaitingInput):
        approve.execute_complete(seen, answered("Approve"))
    assert asked == [approve.assigned_users]


def test_only_approvers_are_asked(
    approve: ApproveReleaseOperator, context: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **details: asked.append(details))
    seen = context()
    seen["ti"].id, seen["task_instance"], approve.notifiers = "1", seen["ti"], []
    decided = {"outputs": {"approvers": ["ada", "ben"], "four_eyes": True}}
    monkeypatch.setattr(seen["ti"], "xcom_pull", lambda **_: decided, raising=False)
    with pytest.raises(TaskAwaitingInput):
        approve.execute(seen)
    assert [user["id"] for user in asked[0]["assigned_users"]] == ["ada", "ben"]
    assert "Two people have to release it" in asked[0]["body"]


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
