"""A backfill's dates are days of the site, whatever its time zone: on the DAG as the scheduler reads it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow import settings
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule
from airflow.serialization.serialized_objects import DagSerialization
from steel_training_airflow.schedule import SiteSchedule

ZONES = ("UTC", "Asia/Shanghai", "America/New_York", "Pacific/Kiritimati")


def scheduled(zone: str, cron: str = "0 2 * * *") -> Any:
    """Returns a DAG of this schedule, written and read as Airflow's database does."""
    schedule = SiteSchedule(cron, timezone=zone, run_immediately=timedelta(0))
    with DAG(
        "nightly", schedule=AssetOrTimeSchedule(timetable=schedule, assets=[Asset("steel")]), catchup=False
    ) as dag:
        pass
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


def days(dag: Any, zone: str, first: pendulum.DateTime, last: pendulum.DateTime) -> list[str]:
    infos = dag.iter_dagrun_infos_between(first, last)
    return [info.logical_date.astimezone(ZoneInfo(zone)).date().isoformat() for info in infos]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", ["0 2 * * *", "0 0 * * *", "59 23 * * *"])
def test_bare_dates_are_days_of_the_site(zone, cron) -> None:
    found = days(scheduled(zone, cron), zone, pendulum.datetime(2026, 3, 1), pendulum.datetime(2026, 3, 5))
    assert found == [f"2026-03-0{day}" for day in range(1, 6)]


@pytest.mark.parametrize("zone", ZONES)
def test_midnights_of_the_site_are_days_too(zone) -> None:
    first, last = (pendulum.datetime(2026, 3, day, tz=zone).in_timezone("UTC") for day in (1, 5))
    assert days(scheduled(zone), zone, first, last) == [f"2026-03-0{day}" for day in range(1, 6)]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("default", ["Asia/Shanghai", "America/New_York"])
def test_bare_dates_are_days_of_the_site_where_airflow_has_a_default_zone(zone, default, monkeypatch) -> None:
    monkeypatch.setattr(settings, "TIMEZONE", pendulum.timezone(default))
    first, last = (pendulum.datetime(2026, 3, day, tz=default).in_timezone("UTC") for day in (1, 5))
    assert days(scheduled(zone), zone, first, last) == [f"2026-03-0{day}" for day in range(1, 6)]


def test_summer_time_neither_adds_nor_drops_a_day() -> None:
    zone = "America/New_York"
    found = days(scheduled(zone), zone, pendulum.datetime(2026, 3, 7), pendulum.datetime(2026, 3, 9))
    assert found == ["2026-03-07", "2026-03-08", "2026-03-09"]


def test_an_instant_stays_an_instant() -> None:
    first, last = pendulum.datetime(2026, 3, 1, 1), pendulum.datetime(2026, 3, 2, 1)
    assert days(scheduled("UTC"), "UTC", first, last) == ["2026-03-01"]


def test_the_nightly_run_is_as_before() -> None:
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.trigger import CronTriggerTimetable

    restriction = TimeRestriction(pendulum.datetime(2026, 3, 1), None, catchup=False)
    ours, airflows = (
        kind("0 2 * * *", timezone="Asia/Shanghai").next_dagrun_info(
            last_automated_data_interval=None, restriction=restriction
        )
        for kind in (SiteSchedule, CronTriggerTimetable)
    )
    assert ours == airflows
