"""On a real scheduler: a DAG that deploys fires when the champion has moved, and at nothing else.

The steps build on one another and stand in that order.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
DAYS = ("2026-01-09", "2026-01-10")
DEPLOY = """
from airflow.sdk import DAG, Asset, task

with DAG("deploy_to_the_line", schedule=[Asset("steel_champion")], is_paused_upon_creation=False):

    @task
    def deploy(triggering_asset_events=None):
        (event,) = triggering_asset_events[Asset("steel_champion")]
        print("deploying", event.extra["version"])

    deploy()
"""


@pytest.fixture(scope="module")
def mill(start_mill: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A mill with a DAG of its own, which deploys what becomes champion."""
    own = tmp_path_factory.mktemp("own-dags")
    (own / "deploy.py").write_text(DEPLOY, encoding="utf-8")
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": name, "classpath": local, "kwargs": {"path": str(path)}}
        for name, path in (("dags-folder", ROOT / "dags"), ("own", own))
    ]
    started = start_mill(AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=json.dumps(bundles))
    for seed, day in enumerate(DAYS, start=20):
        started.add_version(day, seed)
    started.switch_on("steel_training")
    started.switch_on("steel_champion_watch")
    started.wait(lambda: watches(started), 120, "a watch that knows the store")
    return started


def watches(mill: Any) -> list[dict[str, Any]]:
    """Returns the runs of the watch that have ended: the first one records which champions there are."""
    runs = mill.ask("/dags/steel_champion_watch/dagRuns?limit=100")["dag_runs"]
    return [run for run in runs if run["state"] == "success"]


def events(mill: Any) -> list[dict[str, Any]]:
    """Returns what the events of `steel_champion` carry, oldest first."""
    (asset,) = mill.ask("/assets?name_pattern=steel_champion")["assets"]
    found = mill.ask(f"/assets/events?asset_id={asset['id']}&order_by=timestamp&limit=100")["asset_events"]
    return [event["extra"] for event in found]


def deployments(mill: Any) -> list[dict[str, Any]]:
    runs = mill.ask("/dags/deploy_to_the_line/dagRuns?limit=100&order_by=run_after")["dag_runs"]
    return [run for run in runs if run["state"] == "success"]


def deployed(mill: Any, number: int) -> dict[str, Any]:
    """Waits for a deployment and returns the event that it was for; no other may have come."""
    mill.wait(lambda: len(deployments(mill)) >= number, 240, f"deployment {number}")
    found = events(mill)
    assert len(found) == len(deployments(mill)) == number
    return found[-1]


def test_publication_that_makes_a_champion_fires(mill: Any) -> None:
    run = mill.ask("/dags/steel_training/dagRuns", {"logical_date": None, "conf": {"date": DAYS[0]}})
    assert mill.wait_for_end(run["dag_run_id"])["state"] == "success"
    event = deployed(mill, 1)
    assert (event["model"], event["previous"], event["version"]) == ("steel-defects", None, mill.champion())
    assert event["move"] == "promotion"
    assert (Path(event["uri"]) / "checksums.json").is_file()


def test_backfilled_model_fires_only_when_it_is_promoted(mill: Any) -> None:
    first = mill.champion()
    window = ("--from-date", f"{DAYS[1]}T00:00:00Z", "--to-date", f"{DAYS[1]}T23:00:00Z")
    mill.command("backfill", "create", "--dag-id", "steel_training", *window)
    (run,) = mill.wait(lambda: mill.runs(run_type="backfill"), 120, "a backfilled run")
    assert mill.wait_for_end(run["dag_run_id"])["state"] == "success"
    registered = mill.decisions()[-1]
    assert (registered["verdict"], registered["dataset_version"]) == ("published", DAYS[1])
    assert registered["version"] != first
    assert mill.champion() == first

    promote = [sys.executable, "-m", "steel_training", "models", "promote", registered["version"]]
    subprocess.run([*promote, "--store", str(mill.store)], check=True, capture_output=True)
    event = deployed(mill, 2)  # the backfill itself made none: this is the second
    assert (event["previous"], event["version"], event["move"]) == (first, registered["version"], "promotion")


def test_rollback_on_the_models_page_fires(mill: Any) -> None:
    second = mill.champion()
    with httpx.Client(base_url=mill.airflow.address, timeout=60, trust_env=False) as person:
        person.cookies.set("_token", mill.token, domain="127.0.0.1", path="/")
        page = person.get("/steel-training/").text
        (confirmation, *_) = re.findall(r'name="confirmation" value="([^"]+)"', page)
        answer = person.post("/steel-training/rollback", data={"confirmation": confirmation, "confirmed": "yes"})
        assert answer.status_code == 200, answer.text[:500]
    event = deployed(mill, 3)
    assert (event["previous"], event["version"], event["move"]) == (second, mill.champion(), "rollback")
    assert mill.champion() != second
