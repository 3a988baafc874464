"""`airflow backfill create` with bare dates: a run for each day of the site, on that day's version, whatever the time zone.

The command runs on a real Airflow without a scheduler, so that the runs which it creates stay as they were created.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DAYS = [f"2026-03-0{day}" for day in range(1, 6)]
AROUND = ["2026-02-28", *DAYS, "2026-03-06"]
BACKFILL = ("backfill", "create", "--dag-id", "steel_training", "--from-date", DAYS[0], "--to-date", DAYS[-1])


def versions(folder: Path) -> None:
    """Writes a version for each day, and for the days around them."""
    rows = [f"p{number},p/{number}.png,{number % 4 // 3},coil{number // 4}" for number in range(24)]
    for day in AROUND:
        (folder / day).mkdir(parents=True)
        (folder / day / "manifest.csv").write_text("\n".join(["patch_id,path,label,source_id", *rows, ""]))


@pytest.mark.parametrize(
    ("zone", "airflows_zone", "lost"),
    [
        ("UTC", "utc", -1),
        ("Asia/Shanghai", "utc", 0),
        ("America/New_York", "utc", -1),
        ("America/New_York", "Asia/Shanghai", -1),
    ],
)
def test_bare_dates_make_a_run_for_each_day_on_its_version(
    rest_mill: Callable[..., Any], zone: str, airflows_zone: str, lost: int
) -> None:
    """`lost` is the day that would have no run if the dates were read as instants; its run is made to resolve its dataset."""
    mill = rest_mill(STEEL_TRAINING_TIMEZONE=zone, AIRFLOW__CORE__DEFAULT_TIMEZONE=airflows_zone)
    versions(mill.dataset)
    mill.command("dags", "reserialize")
    mill.command(*BACKFILL)
    listed = mill.command("dags", "list-runs", "steel_training", "--output", "json").splitlines()
    runs = sorted(json.loads(listed[-1]), key=lambda run: str(run["logical_date"]))
    fell = [datetime.fromisoformat(run["logical_date"]).astimezone(ZoneInfo(zone)) for run in runs]
    assert [(at.date().isoformat(), at.hour) for at in fell] == [(day, 2) for day in DAYS]
    assert all(run["run_id"].startswith("backfill__") for run in runs)

    mill.command("tasks", "test", "steel_training", "resolve_dataset", runs[lost]["run_id"])
    (result,) = mill.store.glob("runs/*/resolve_dataset/result.json")
    outputs = json.loads(result.read_text())["outputs"]
    assert (outputs["logical_date"], outputs["version"]) == (DAYS[lost], DAYS[lost])
