"""Who may release a model: two of the people that the mill has named, on the real scheduler; nobody else, and nobody twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PAUSED = re.compile("TaskInstance Finished: .*task_id=approve_release.* state=awaiting_input")
APPROVE = {"chosen_options": ["Approve"], "params_input": {}}


@pytest.fixture(scope="module")
def mill(start_mill: Callable[..., Any]) -> Any:
    mill = start_mill(AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin,ada:op,ben:op,eve:op")
    mill.add_version("2026-01-09", seed=20)
    mill.switch_on("steel_training")
    return mill


def answer(mill: Any, user: str, run_id: str) -> None:
    """Releases the model of a run, as that user."""
    login = {"username": user, "password": mill.airflow.passwords[user]}
    token = mill.airflow.ask("/auth/token", method="POST", body=login)["access_token"]
    path = f"/api/v2/dags/steel_training/dagRuns/{run_id}/taskInstances/approve_release/-1/hitlDetails"
    mill.airflow.ask(path, token, method="PATCH", body=APPROVE)


def test_a_model_is_published_when_a_second_person_has_released_it(mill: Any) -> None:
    conf = {"publish.require_approval": True, "publish.approvers": ["ada", "ben"], "publish.four_eyes": True}
    run_id = mill.ask("/dags/steel_training/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"]

    def waits(times: int) -> Any:
        """Returns the question while nobody has answered it, once the scheduler knows that it was asked so many times.

        An answer before that, within a second, is lost: Airflow takes the task for one that was changed from outside, and asks again.
        """
        asked = mill.ask(f"/dags/steel_training/dagRuns/{run_id}/hitlDetails")["hitl_details"]
        known = [line for line in mill.home.log.read_text(encoding="utf-8").splitlines() if PAUSED.search(line)]
        return len(known) == times and [each for each in asked if not each["response_received"]]

    def recorded() -> list[dict[str, Any]]:
        files = (mill.store / "runs").glob("*/approve_release/result.json")
        return [json.loads(file.read_text(encoding="utf-8"))["outputs"] for file in files]

    (question,) = mill.wait(lambda: waits(1), 900, "the question")
    assert "Two people have to release it" in question["body"]
    assert [user["id"] for user in question["assigned_users"]] == ["ada", "ben"]
    for stranger in ("eve", "admin"):
        with pytest.raises(HTTPError) as refused:
            answer(mill, stranger, run_id)
        assert refused.value.code == 403
    assert not recorded()

    for times in (2, 3):  # ada cannot be both
        answer(mill, "ada", run_id)
        mill.wait(lambda times=times: waits(times), 300, "the question for a second person")
        (release,) = recorded()
        assert (release["waiting"], release["by"], release["approved"]) == (True, "ada", False)
        assert mill.champion() is None

    answer(mill, "ben", run_id)
    assert mill.wait_for_end(run_id)["state"] == "success"
    (published,) = mill.decisions()
    assert published["approval"] == {"approved": True, "by": "ada and ben", "reason": None}
    assert (published["verdict"], mill.champion()) == ("published", published["version"])
    assert mill.tasks(run_id)["reject_model"]["state"] == "skipped"
