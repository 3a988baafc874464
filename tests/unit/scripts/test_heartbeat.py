"""A service counts as healthy only while the API server says that its heartbeat is recent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import heartbeat
import pytest

# As Airflow 3 answers: what never ran has no status.
AIRFLOW = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2026-11-29T12:00:00+00:00"},
    "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
    "dag_processor": {"status": "unhealthy", "latest_dag_processor_heartbeat": "2026-11-29T11:00:00+00:00"},
}


@pytest.fixture
def api_server() -> Iterator[Callable[[int, bytes], str]]:
    """Serves one answer at the path of Airflow's health, and returns its address."""
    servers: list[ThreadingHTTPServer] = []

    def serve(status: int, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/api/v2/monitor/health" else 404)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_each_service_is_as_healthy_as_airflow_says(
    api_server: Callable[[int, bytes], str], capsys: pytest.CaptureFixture[str]
) -> None:
    address = api_server(200, json.dumps(AIRFLOW).encode())
    assert [heartbeat.main(address, service) for service in ("scheduler", "dag_processor", "triggerer")] == [0, 1, 1]
    said = capsys.readouterr().out
    assert "dag_processor: unhealthy, last heartbeat 2026-11-29T11:00:00+00:00" in said


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, b"<html>"), (200, b"{}")])
def test_answer_that_says_nothing_is_not_healthy(
    status: int, body: bytes, api_server: Callable[[int, bytes], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert heartbeat.main(api_server(status, body), "scheduler") == 1
    assert "unknown" in capsys.readouterr().out


def test_api_server_that_is_away_leaves_the_service_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert heartbeat.main("http://127.0.0.1:9", "triggerer") == 1
    assert "triggerer: unknown" in capsys.readouterr().out


def test_misspelt_service_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert heartbeat.main("http://127.0.0.1:9", "dag-processor") == 1
    assert "expected one of scheduler, dag_processor, triggerer" in capsys.readouterr().out
