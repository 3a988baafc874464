"""A person's way to a running Airflow: a login, and questions over the REST API."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

ENDED = ("success", "failed")


class AirflowApi:
    """The API as one login may use it.

    Args:
        address: of the UI.
        login: user name.
        password: of the login.
    """

    def __init__(self, address: str, login: str, password: str) -> None:
        self.address = address
        self._token = ""
        self._token = self.ask("/auth/token", {"username": login, "password": password})["access_token"]

    def ask(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        """Returns the answer as JSON; a body is posted unless a method is named."""
        return json.loads(self.read(path, body, method=method))

    def read(self, path: str, body: Any = None, *, method: str | None = None) -> bytes:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.address}{path}", data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read()

    def status(self, path: str, body: Any = None) -> int:
        """Returns only how the request ended."""
        try:
            self.read(path, body)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def switch_on(self, dag: str, within: float = 300) -> None:
        """Waits until a DAG has been read, and lets it run."""
        until = time.monotonic() + within
        while self.status(f"/api/v2/dags/{dag}") != 200:
            assert time.monotonic() < until, f"{dag} was not read in {within} s"
            time.sleep(1)
        self.ask(f"/api/v2/dags/{dag}", {"is_paused": False}, method="PATCH")

    def trigger(self, dag: str, conf: dict[str, Any]) -> str:
        """Starts a run and returns its path."""
        run = self.ask(f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})
        return f"/api/v2/dags/{dag}/dagRuns/{run['dag_run_id']}"

    def plugins(self) -> list[dict[str, Any]]:
        """Returns what the API server has of plugins."""
        return self.ask("/api/v2/plugins")["plugins"]

    def tasks(self, run: str) -> dict[str, dict[str, Any]]:
        """Returns the task instances of a run by task."""
        return {t["task_id"]: t for t in self.ask(f"{run}/taskInstances?limit=100")["task_instances"]}

    def states(self, run: str) -> dict[str, str | None]:
        """Returns the states of a run's task instances by task."""
        return {task: instance["state"] for task, instance in self.tasks(run).items()}

    def has_begun(self, run: str, task: str) -> bool:
        """Returns whether a task has begun; asked again and again, it is a fraction of the server's work that `tasks` is."""
        return self.ask(f"{run}/taskInstances/{task}")["start_date"] is not None

    def log(self, run: str, task: str) -> str:
        """Returns what the first try of a task has said so far; nothing where it has not begun."""
        path = f"{run}/taskInstances/{task}/logs/1"
        return self.read(path).decode() if self.has_begun(run, task) else ""

    def ended(self, run: str, within: float) -> dict[str, dict[str, Any]]:
        """Waits for the end of a run and returns its task instances."""
        until = time.monotonic() + within
        while self.ask(run)["state"] not in ENDED:
            assert time.monotonic() < until, f"{run} has not ended after {within} s: {self.states(run)}"
            time.sleep(2)
        return self.tasks(run)
