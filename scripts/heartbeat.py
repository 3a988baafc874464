"""Health check of a service without a port of its own: whether its heartbeat is recent, as the API server sees it in the database.

    python heartbeat.py API_SERVER scheduler|dag_processor|triggerer

Airflow's own `airflow jobs check` says the same for six seconds of CPU time, every minute and for each service. On a host that is busy
with a training it does not finish in time, and healthy services are then called unhealthy. Asking takes 0.1 s. While the API server does not
answer, nothing is known, and that counts as unhealthy as well.
"""

from __future__ import annotations

import json
import sys
import urllib.request

SERVICES = ("scheduler", "dag_processor", "triggerer")
TIMEOUT_SECONDS = 20


def main(address: str, service: str) -> int:
    """Print the state of a service; return 0 if it is healthy, otherwise 1."""
    if service not in SERVICES:
        print(f"{service!r} has no heartbeat; expected one of {', '.join(SERVICES)}.")
        return 1
    try:
        with urllib.request.urlopen(f"{address}/api/v2/monitor/health", timeout=TIMEOUT_SECONDS) as answer:
            found = json.load(answer)[service]
    except (OSError, ValueError, KeyError) as error:
        print(f"{service}: unknown, since {address} gives no answer to /api/v2/monitor/health: {error!r}")
        return 1
    print(f"{service}: {found['status']}, last heartbeat {found[f'latest_{service}_heartbeat']}")
    return int(found["status"] != "healthy")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
