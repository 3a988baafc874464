"""The host name that Airflow records for a task: the service's name, as in its container."""

from __future__ import annotations

import os


def of_service() -> str:
    """Returns what Docker sets in every container; for `AIRFLOW__CORE__HOSTNAME_CALLABLE`."""
    return os.environ["HOSTNAME"]
