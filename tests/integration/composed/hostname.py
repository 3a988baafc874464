"""The name under which Airflow notes where something ran: the service's, as each container has a name of its own."""

from __future__ import annotations

import os


def of_service() -> str:
    """Returns what Docker sets in every container; for `AIRFLOW__CORE__HOSTNAME_CALLABLE`."""
    return os.environ["HOSTNAME"]
