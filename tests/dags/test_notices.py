"""Notifications of runs that publish nothing, sent to a real webhook and a real mail server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, MutableMapping
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from aiosmtpd.controller import Controller
from steel_training_airflow.notices import VerdictNotifier

LEAK = {"code": "leak.group", "message": "Coil C17 is in train and test. Split again by group."}
RESOLVED = {"outputs": {"dataset": "s3://mill/strip/2026-11-24"}}


@pytest.fixture
def ended(context: Callable[..., Any]) -> Callable[..., Any]:
    """The context of a callback after a task has ended."""

    def make(task_id: str, result: dict[str, Any] | None, exception: Exception | None = None) -> Any:
        pulled = {task_id: result, "resolve_dataset": RESOLVED}
        task = SimpleNamespace(task_id=task_id, log_url="http://mill/log", xcom_pull=lambda task_ids: pulled[task_ids])
        return {**context(), "ti": task, "exception": exception}

    return make


@pytest.fixture
def task_log() -> Iterator[list[MutableMapping[str, Any]]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[Any]]]:
    """An HTTP server that records what is posted to it."""
    posted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}/alarm", posted
        server.shutdown()


@pytest.fixture
def mailbox(own_port: Callable[[], int]) -> Iterator[tuple[str, list[Any]]]:
    """A mail server that records the mails it receives."""
    letters: list[Any] = []

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            letters.append(message_from_bytes(envelope.content, policy=policy.default))
            return "250 OK"

    port = own_port()
    controller = Controller(Handler(), hostname="127.0.0.1", port=port, ready_timeout=300)
    controller.start()
    yield f"mailto://127.0.0.1:{port}?from=steel@mill.example&to=shift@mill.example", letters
    controller.stop()


@pytest.mark.parametrize(
    ("task_id", "result", "word"),
    [
        ("check_baseline", {"status": "blocked", "reasons": [LEAK], "outputs": {}}, "blocked"),
        ("evaluate", {"status": "refused", "reasons": [LEAK], "outputs": {}}, "rejected"),
        ("reject_model", {"status": "done", "reasons": [LEAK], "outputs": {"verdict": "rejected"}}, "rejected"),
    ],
)
def test_verdict_and_reasons_reach_webhook_and_mail(
    ended: Any, webhook: Any, mailbox: Any, monkeypatch: pytest.MonkeyPatch, task_id: str, result: Any, word: str
) -> None:
    monkeypatch.setenv("STEEL_TRAINING_NOTIFY", f"{webhook[0]} {mailbox[0]}")
    VerdictNotifier().notify(ended(task_id, result))
    (posted,), (letter,) = webhook[1], mailbox[1]
    assert posted["title"] == letter["subject"] == f"steel-training: {word}"
    assert letter["to"] == "shift@mill.example"
    for text in (posted["message"], letter.get_body(("plain",)).get_content()):
        assert "leak.group: Coil C17 is in train and test. Split again by group." in text
        assert "Dataset s3://mill/strip/2026-11-24." in text
        assert "/report.html" in text
        assert "http://mill/log" in text


def test_a_rejection_says_what_would_help_most(ended: Any, webhook: Any, monkeypatch) -> None:
    monkeypatch.setenv("STEEL_TRAINING_NOTIFY", webhook[0])
    advice = "What would help most: more coils: up to 3 of 9 mistakes on the test split."
    outputs = {"verdict": "rejected", "advice": advice}
    VerdictNotifier().notify(ended("reject_model", {"status": "done", "reasons": [LEAK], "outputs": outputs}))
    lines = webhook[1][0]["message"].splitlines()
    assert lines.index(advice) == lines.index(f"{LEAK['code']}: {LEAK['message']}") + 1


def test_failure_without_verdict_sends_the_error(ended: Any, webhook: Any, monkeypatch) -> None:
    monkeypatch.setenv("STEEL_TRAINING_NOTIFY", webhook[0])
    VerdictNotifier().notify(ended("train_head", None, RuntimeError("killed by SIGKILL; out of memory")))
    assert webhook[1][0]["title"] == "steel-training: failed"
    assert "out of memory" in webhook[1][0]["message"]
    assert "report.html" not in webhook[1][0]["message"]


@pytest.mark.parametrize(
    "address",
    [
        "json://127.0.0.1:9/alarm",
        "json://ada:s3cret@127.0.0.1:9/alarm",  # pragma: allowlist secret
        "nonsense",
    ],
)
def test_unsent_notice_is_logged_without_password(ended: Any, monkeypatch, task_log, address: str) -> None:
    monkeypatch.setenv("STEEL_TRAINING_NOTIFY", address)
    VerdictNotifier().notify(ended("evaluate", {"status": "refused", "reasons": [LEAK], "outputs": {}}))
    assert [entry["log_level"] for entry in task_log] == ["warning", "error"]
    assert "leak.group" in task_log[0]["event"], "the log has the notification although none could be sent"
    assert "s3cret" not in str(task_log)


def test_without_recipients_only_the_log_is_written(ended: Any, monkeypatch, task_log) -> None:
    monkeypatch.delenv("STEEL_TRAINING_NOTIFY", raising=False)
    VerdictNotifier("waits for release").notify(ended("approve_release", None))
    assert [entry["event"].splitlines()[0] for entry in task_log] == ["steel-training: waits for release"]


@pytest.mark.parametrize("format_", ["", "&format=html", "&format=text"])
def test_a_name_in_a_mail_is_never_markup(ended: Any, mailbox: Any, monkeypatch, format_: str) -> None:
    monkeypatch.setenv("STEEL_TRAINING_NOTIFY", f"{mailbox[0]}{format_}")
    hostile = {"code": "leak.group", "message": '<img src="http://evil/x"><script>alert(1)</script> & p1'}
    VerdictNotifier().notify(ended("evaluate", {"status": "refused", "reasons": [hostile], "outputs": {}}))
    parts = {part.get_content_type(): part.get_content() for part in mailbox[1][0].walk() if not part.is_multipart()}
    assert "<script>alert(1)</script>" in parts["text/plain"], "as it was written"
    if page := parts.get("text/html"):
        assert "<img" not in page
        assert "<script" not in page
        assert "&lt;script&gt;" in page
    assert ("text/html" in parts) == (format_ == "&format=html")
