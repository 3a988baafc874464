"""When the nightly run of a tested Airflow falls: chosen by the test, never by the hour at which the tests run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from airflow_api import AirflowApi

NO_NIGHT = {"STEEL_TRAINING_CRON": f"0 2 1 {(datetime.now(UTC).month + 5) % 12 + 1} *"}
"""The variable for a night that falls in about half a year. With the usual 02:00 a test of that hour has a run more."""


def two_nights(now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Returns two minutes of the same hour that follow each other, the first three to five minutes from now.

    Args:
        now: with a time zone.
        zone: the mill's.
    """
    first = now.astimezone(zone) + timedelta(minutes=3)
    while first.minute == 59:  # a cron expression with the hour of the first would not have the second
        first += timedelta(minutes=1)
    return first, first + timedelta(minutes=1)


def next_night(api: AirflowApi, dag: str) -> datetime:
    """Returns when the next run by schedule falls."""
    return datetime.fromisoformat(api.ask(f"/api/v2/dags/{dag}")["next_dagrun_run_after"])
