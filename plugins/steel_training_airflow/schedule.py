"""The nightly schedule, for which a bare date of a backfill is a day in the site's time zone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pendulum
from airflow import settings
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable

if TYPE_CHECKING:
    from airflow.timetables.base import DagRunInfo, DataInterval
    from pendulum import DateTime


class SiteSchedule(CronTriggerTimetable):
    """Runs at the times of a cron expression; a backfill from one date to another has the runs of all days between, both included.

    Airflow reads `--from-date 2026-03-01` as midnight in its own default time zone, which is mostly UTC, and its form as midnight in the time
    zone of the page. Taken as instants, they would leave out the first or the last day. A limit that is midnight in UTC, in Airflow's default zone or
    in the schedule's is read as that day in the schedule's zone; any other is an instant.
    """

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next run; see `airflow.timetables.base.Timetable`."""
        # The DAG does not catch up: only a backfill asks with this flag.
        if restriction.catchup:
            first, last = restriction.earliest, restriction.latest
            restriction = TimeRestriction(
                first and (self._midnight(first) or first),
                last and (self._end_of_day(last) or last),
                catchup=True,
            )
        return super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )

    def _midnight(self, limit: DateTime) -> DateTime | None:
        """Return the beginning of the day that a limit names; `None` where it names an instant."""
        for zone in ("UTC", settings.TIMEZONE, self._timezone):
            local = limit.in_timezone(zone)
            if local == local.start_of("day"):
                return pendulum.datetime(local.year, local.month, local.day, tz=self._timezone)
        return None

    def _end_of_day(self, limit: DateTime) -> DateTime | None:
        midnight = self._midnight(limit)
        return midnight and midnight.add(days=1) - timedelta(microseconds=1)
