"""`make ui`: all that it names answers, and the form's ranges hold for the API too."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nights import NO_NIGHT


class Ui:
    """A running `make ui`, and its API."""

    def __init__(self, said: str) -> None:
        found = re.search(r"Airflow:\s+(http://127\.0\.0\.1:\d+)/", said)
        password = re.search(r"password:\s+(\S+)", said)
        store = re.search(r"store:\s+(\S+)", said)
        curves = re.search(r"curves:\s+(\S+)", said)
        assert found is not None
        assert curves is not None
        assert password is not None
        assert store is not None
        self.address, self.curves, self.store = found[1], curves[1], Path(store[1])
        login = {"username": "admin", "password": password[1]}
        self.token = ""
        self.token = self.ask("/auth/token", login)["access_token"]

    def ask(self, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.address}{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def ui(checkout: Path) -> Iterator[Ui]:
    process = subprocess.Popen(
        [sys.executable, str(checkout / "scripts" / "ui.py")],
        env={**os.environ, **NO_NIGHT, "PYTHONPATH": str(checkout)}, stdout=subprocess.PIPE, text=True, cwd=checkout,
    )  # fmt: skip
    said = ""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said += line
            if "Ctrl-C ends it" in line:
                break
        else:
            pytest.fail(said)
        yield Ui(said)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(300) == 0


@pytest.mark.slow
def test_printed_urls_answer_and_dag_is_unpaused(ui: Ui) -> None:
    dag = ui.ask("/api/v2/dags/steel_training")
    assert dag["is_paused"] is False
    for address in (f"{ui.address}/steel-training/", ui.curves):
        with urllib.request.urlopen(address, timeout=120) as answer:  # the models page leads to the login
            assert answer.status == 200
    assert ui.store.is_dir()


@pytest.mark.slow
def test_value_out_of_range_is_refused_by_the_api(ui: Ui) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ui.ask("/api/v2/dags/steel_training/dagRuns", {"logical_date": None, "conf": {"gate.recall": 1.7}})
    assert refused.value.code in (400, 422)
    assert "gate.recall" in refused.value.read().decode()
