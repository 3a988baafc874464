"""On a real scheduler: a backfill trains a run a date, one at a time; doing a date again replaces its run; a person refuses.

The steps build on one another and stand in that order.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TRAINING = {"check_baseline", "audit_labels", "train_head", "fine_tune"}
DAYS = ("2026-01-09", "2026-01-10")


@pytest.fixture(scope="module")
def mill(start_mill: Callable[..., Any]) -> Any:
    started = start_mill()
    for seed, day in enumerate(DAYS, start=20):
        started.add_version(day, seed)
    started.switch_on("steel_training")
    return started


def backfill(mill: Any, first: str, last: str, *options: str) -> dict[str, dict[str, Any]]:
    """Backfills some days, waits for the end, and returns the runs by day."""
    window = ("--from-date", f"{first}T00:00:00Z", "--to-date", f"{last}T23:00:00Z")
    mill.command("backfill", "create", "--dag-id", "steel_training", *window, *options)

    def ended() -> list[dict[str, Any]]:
        (newest, *_) = mill.ask("/backfills?dag_id=steel_training&order_by=-id")["backfills"]
        return mill.runs(run_type="backfill") if newest["completed_at"] else []

    runs = mill.wait(ended, 900, "the end of the backfill")
    return {run["logical_date"][:10]: run for run in runs}


def decision(mill: Any, run: dict[str, Any]) -> dict[str, Any]:
    (only,) = (each for each in mill.decisions() if each["run_id"].startswith(run["dag_run_id"][:20]))
    return dict(only)


def test_backfilled_dates_train_in_turn_on_their_version(mill: Any) -> None:
    runs = backfill(mill, *DAYS, "--max-active-runs", "2")
    assert {day: run["state"] for day, run in runs.items()} == dict.fromkeys(DAYS, "success")
    for day, run in runs.items():
        assert (decision(mill, run)["dataset_version"], decision(mill, run)["verdict"]) == (day, "published")
    # The night before may have been made up for meanwhile; a backfilled version is never what it leaves as champion.
    assert mill.champion() not in {decision(mill, run)["version"] for run in runs.values()}

    tasks = [mill.tasks(run["dag_run_id"]) for run in runs.values()]
    first, second = sorted(tasks, key=lambda each: str(each["resolve_dataset"]["start_date"]))
    assert at(second["resolve_dataset"], "start") < at(first["fine_tune"], "end"), "both dates were under way at once"
    trainings = sorted((each[name] for each in tasks for name in TRAINING), key=lambda task: at(task, "start"))
    assert all(task["pool"] == task["queue"] == "gpu" for task in trainings)
    assert all(at(one, "end") <= at(next_one, "start") for one, next_one in pairwise(trainings))


def at(task: dict[str, Any], what: str) -> datetime:
    return datetime.fromisoformat(task[f"{what}_date"])


def test_repeated_date_replaces_its_run_and_promotes(mill: Any) -> None:
    before = {run["logical_date"][:10]: run for run in mill.runs(run_type="backfill")}[DAYS[0]]
    old = decision(mill, before)
    shutil.rmtree(mill.dataset / DAYS[0])
    mill.add_version(DAYS[0], seed=30)  # relabelled
    conf = json.dumps({"promote_backfill": True, "gate.champion_tolerance": 1.0})
    runs = backfill(mill, DAYS[0], DAYS[0], "--reprocess-behavior", "completed", "--dag-run-conf", conf)
    again = runs[DAYS[0]]
    assert (again["state"], again["dag_run_id"]) == ("success", before["dag_run_id"])
    new = decision(mill, again)
    assert new["fingerprint"] != old["fingerprint"]
    assert new["replaced"] == [old["version"]]
    assert (new["verdict"], mill.champion()) == ("published", new["version"])
    results = list((mill.store / "runs" / new["run_id"]).glob("*/result.json"))
    assert min(path.stat().st_mtime for path in results) > datetime.fromisoformat(old["decided_at"]).timestamp()


def test_person_refuses_a_model_that_meets_targets(mill: Any) -> None:
    champion = mill.champion()
    conf = {
        "publish.require_approval": True,
        "publish.force": True,
        "date": DAYS[1],
        "gate.champion_tolerance": 1.0,
    }
    run = mill.ask("/dags/steel_training/dagRuns", {"logical_date": None, "conf": conf})
    path = f"/dags/steel_training/dagRuns/{run['dag_run_id']}"
    asked = mill.wait(lambda: mill.ask(f"{path}/hitlDetails")["hitl_details"], 600, "the question")
    (question,) = asked
    assert "defects missed" in question["body"]
    assert "| recall |" in question["body"]
    answer = {"chosen_options": ["Reject"], "params_input": {"reason": "line 2 gets new lamps on Monday"}}
    mill.ask(f"{path}/taskInstances/approve_release/-1/hitlDetails", answer, "PATCH")
    assert mill.wait_for_end(run["dag_run_id"])["state"] == "success"
    states = {name: task["state"] for name, task in mill.tasks(run["dag_run_id"]).items()}
    assert (states["publish_model"], states["reject_model"]) == ("skipped", "success")
    refused = mill.decisions()[-1]
    assert [reason["code"] for reason in refused["reasons"]] == ["release.refused"]
    assert refused["approval"] == {"approved": False, "by": "admin", "reason": "line 2 gets new lamps on Monday"}
    assert mill.champion() == champion
