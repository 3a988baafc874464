"""`airflow standalone` in its own home, on 127.0.0.1 and a free port; for `make ui` and the end-to-end tests."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

from airflow_home import DAG_ID, ROOT, AirflowHome

HOST = "127.0.0.1"
USER = "admin"
READY_WITHIN_SECONDS = 300


class NotReady(Exception):
    """Airflow did not start."""


class Standalone:
    """A running Airflow: scheduler, DAG processor, triggerer and API server.

    Args:
        home: its folder, already prepared.
        port: the first one to try.
        environment: variables beside those of the home.
    """

    def __init__(self, home: AirflowHome, port: int = 8080, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        chosen = free_port(port)
        self.address = f"http://{HOST}:{chosen}"
        self.environment = {
            **home.environment(
                api__host=HOST,
                api__port=str(chosen),
                api__base_url=self.address,
                api__workers="1",
                core__execution_api_server_url=f"{self.address}/execution/",
                core__parallelism="4",
                logging__worker_log_server_port=str(free_port(chosen + 1)),
                logging__trigger_log_server_port=str(free_port(chosen + 2)),
            ),
            **(environment or {}),
        }
        with open(home.log, "ab") as log:
            self.process = subprocess.Popen(
                ["airflow", "standalone"], env=self.environment, cwd=ROOT, stdout=log, stderr=log, text=True, process_group=0,
            )  # fmt: skip

    @property
    def passwords(self) -> dict[str, str]:
        """Passwords by user; Airflow creates them at its first start."""
        found: dict[str, str] = {}
        for line in self._passwords().read_text(encoding="utf-8").splitlines():
            found |= json.loads(line)
        return found

    def wait_until_ready(self) -> str:
        """Wait for the scheduler and the DAG, and return a token for the API.

        Raises:
            NotReady: it ended, or took too long.
        """
        until = time.monotonic() + READY_WITHIN_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise NotReady(f"Airflow ended with {self.process.returncode}; see {self.home.log}.")
            try:
                health = self.ask("/api/v2/monitor/health")
                if health["scheduler"]["status"] == "healthy" and self._passwords().exists():
                    login = {"username": USER, "password": self.passwords[USER]}
                    token = str(self.ask("/auth/token", method="POST", body=login)["access_token"])
                    self.ask(f"/api/v2/dags/{DAG_ID}", token)
                    return token
            except (OSError, ValueError, KeyError):
                pass  # not up yet, or the DAG is not parsed yet
            time.sleep(2)
        raise NotReady(f"Airflow was not ready after {READY_WITHIN_SECONDS} s; see {self.home.log}.")

    def ask(self, path: str, token: str = "", *, method: str = "GET", body: Any = None) -> Any:
        """Send a request to the API and return the response."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.address}{path}", data=data, headers=headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=180) as answer:
            return json.loads(answer.read())

    def stop(self) -> None:
        """End it, with its child processes."""
        if self.process.poll() is None:
            self.home.stop(self.process)

    def _passwords(self) -> Any:
        return self.home.folder / "airflow" / "simple_auth_manager_passwords.json.generated"


def free_port(first: int) -> int:
    """Return the first free port from `first` on."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise NotReady(f"No free port from {first} to {first + 99}.")
