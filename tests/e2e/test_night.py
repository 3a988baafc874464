"""On a real scheduler: the night trains, the next one has nothing to do, and a new dataset version starts a run.

The steps build on one another, as they would over two days in a mill, and stand in that order.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from nights import two_nights

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ZONE = "Asia/Kolkata"


@pytest.fixture(scope="module")
def mill(start_mill: Callable[..., Any]) -> Any:
    """Its night falls twice, two minutes after its Airflow has been started: the second has nothing new to learn."""
    night, again = two_nights(datetime.now(UTC), ZoneInfo(ZONE))
    started = start_mill(
        STEEL_TRAINING_TIMEZONE=ZONE,
        STEEL_TRAINING_CRON=f"{night.minute},{again.minute} {night.hour} * * *",
    )
    started.night = night
    started.add_version("2026-01-10", seed=20)
    return started


def states(mill: Any, run_id: str) -> dict[str, str]:
    return {name: task["state"] for name, task in mill.tasks(run_id).items()}


def test_nightly_run_trains_and_the_next_is_unchanged(mill: Any) -> None:
    mill.switch_on("steel_dataset_watch")
    mill.switch_on("steel_training")
    first, second = mill.wait(lambda: len(found := mill.runs(run_type="scheduled")) == 2 and found, 420, "two nights")
    ended = [mill.wait_for_end(run["dag_run_id"]) for run in (first, second)]
    assert [run["state"] for run in ended] == ["success", "success"]
    fell = datetime.fromisoformat(first["logical_date"]).astimezone(ZoneInfo(ZONE))
    assert (fell.hour, fell.minute) == (mill.night.hour, mill.night.minute), "the night falls by the mill's clock"

    assert states(mill, first["dag_run_id"])["publish_model"] == "success"
    (published,) = mill.decisions()
    assert (published["verdict"], mill.champion()) == ("published", published["version"])
    seen = states(mill, second["dag_run_id"])
    assert set(seen.values()) == {"skipped"}, seen
    resolve = mill.tasks(second["dag_run_id"])["resolve_dataset"]
    assert resolve["duration"] < 30, "unchanged is told in seconds"


def test_new_dataset_version_starts_a_run_on_it(mill: Any) -> None:
    mill.add_version("2026-02-01", seed=21)
    (run,) = mill.wait(lambda: mill.runs(run_type="asset_triggered"), 180, "a run for the new version")
    assert mill.wait_for_end(run["dag_run_id"])["state"] == "success"
    newest = mill.decisions()[-1]
    assert newest["dataset_version"] == "2026-02-01"
    events = mill.ask(f"/dags/steel_training/dagRuns/{run['dag_run_id']}/upstreamAssetEvents")["asset_events"]
    assert [event["extra"]["version"] for event in events] == ["2026-02-01"]
    assert events[0]["extra"]["uri"] == str(mill.dataset / "2026-02-01")
