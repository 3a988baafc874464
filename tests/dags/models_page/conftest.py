"""Airflow's real API server with four users, and stores with models in them."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from steel_training.registry import Registry
from steel_training.storage import Storage, open_storage
from steel_training.verdict import Reason, Verdict

ROLES = ("admin", "op", "user", "viewer")
TARGETS = {"recall": 0.95, "f2": 0.85, "precision": 0.7, "auc": 0.9}
THEME = (Path(__file__).parents[3] / "plugins/models_page/templates/theme.js").read_text().strip()
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, wait_until: Callable[..., Any]) -> Iterator[str]:
    """The address of an API server with the plugin and the users of `ROLES`, each with its name as password."""
    import uvicorn
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from airflow.utils.db import initdb

    passwords = tmp_path_factory.mktemp("users") / "passwords.json"
    passwords.write_text(json.dumps({role: role for role in ROLES}))
    settings = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{role}:{role}" for role in ROLES),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
    }
    os.environ |= settings
    initdb()
    running = uvicorn.Server(uvicorn.Config(create_app(apps="core"), port=0, log_level="error"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    wait_until(lambda: running.started or not thread.is_alive(), "an API server that listens")
    assert running.started
    yield "http://127.0.0.1:{1}".format(*running.servers[0].sockets[0].getsockname())
    running.should_exit = True
    thread.join(30)
    purge_cached_app()
    for name in settings:
        del os.environ[name]


@pytest.fixture
def browser(server: str) -> Iterator[Callable[..., httpx.Client]]:
    """Opens a browser-like client: it keeps cookies as they are set. With a role, it has logged in."""
    with contextlib.ExitStack() as opened:

        def open_(role: str | None = None) -> httpx.Client:
            client = opened.enter_context(httpx.Client(base_url=server, timeout=300))
            if role is not None:
                answer = client.post("/auth/token", json={"username": role, "password": role})
                # What Airflow's login page does with the answer.
                client.cookies.set("_token", answer.json()["access_token"], domain="127.0.0.1", path="/")
            return client

        yield open_


@pytest.fixture(params=["folder", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """An empty store, which the API server shows: a folder, and a prefix of an S3 bucket."""
    uri = str(tmp_path / "store")
    if request.param == "s3":
        uri = f"{request.getfixturevalue('s3')}/{tmp_path.name}"
    monkeypatch.setenv("STEEL_TRAINING_STORE", uri)
    return open_storage(uri)


@pytest.fixture
def folder_store(store: Path) -> Storage:
    """An empty folder that the API server shows."""
    return open_storage(store)


def metrics(recall: float = 0.97) -> dict[str, Any]:
    return {name: {"value": recall if name == "recall" else 0.96, "bound": 0.9} for name in TARGETS}


def decide(store: Storage, run_id: str, verdict: Verdict = Verdict.REJECTED, **facts: Any) -> None:
    """Records a verdict as a run does."""
    reason = Reason("gate.recall", f"recall of {run_id}")
    Registry(store, facts.pop("name", "steel-defects")).record(
        run_id,
        verdict,
        facts.pop("reasons", [reason]),
        {
            "version": None,
            "dataset": "s3://mill/strip/2026-11-20",
            "dataset_version": "2026-11-20",
            "metrics": metrics(0.91),
            "targets": TARGETS,
            "evidence": "point",
            **facts,
        },
    )


def publish(store: Storage, tmp_path: Path, version: str, *, name: str = "steel-defects", **gate: Any) -> None:
    """Publishes a version with what `gate.json` holds, and records its verdict."""
    run_id = gate.pop("run_id", f"scheduled__{version}")
    content = {
        "version": version,
        "run_id": run_id,
        "judged_at": "2026-11-24T10:00:00+00:00",
        "dataset": "s3://mill/strip/2026-11-20",
        "dataset_version": "2026-11-20",
        "fingerprint": "f" * 64,
        "split_seed": 20,
        "test_part": "part-1",
        "parts": {"test": {"clean": 300, "defective": 100, "groups": 12}},
        "metrics": metrics(),
        "counts": {"tp": 97, "fn": 3, "fp": 4, "tn": 296},
        "threshold": {"value": 0.4321, "note": "best F2"},
        "reasons": [{"code": "gate.recall", "message": "recall is 0.97; the target of 0.95 is met."}],
        "config": {"gate": {**TARGETS, "evidence": "point"}, "model": {"backbone": "EfficientNetB0"}},
        **gate,
    }
    bundle = tmp_path / "bundles" / name / version
    bundle.mkdir(parents=True)
    (bundle / "gate.json").write_text(json.dumps(content))
    (bundle / "model_card.md").write_text("# card")
    (bundle / "report.html").write_text(f"<!doctype html><title>report of {version}</title>")
    Registry(store, name).publish(bundle, version)
    decide(
        store, run_id, Verdict.PUBLISHED, name=name, version=version, metrics=content["metrics"],
        reasons=[Reason(each["code"], each["message"]) for each in content["reasons"]],
    )  # fmt: skip


class Markup(HTMLParser):
    """What a browser would make of a page: its elements, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.code: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script" and self.lasttag == "script" and self.cdata_elem:
            self.code.append(data)
        elif self.cdata_elem is None:
            self.text += data

    @property
    def active(self) -> list[str]:
        """What would run beside the page's own script: scripts, handlers, addresses that are code."""
        found = [tag for tag, _ in self.elements if tag in {"iframe", "object", "embed", "base"}]
        found += [code for code in self.code if code != THEME]
        found += [str(attributes) for tag, attributes in self.elements if tag == "script" and attributes]
        for _, attributes in self.elements:
            found += [name for name in attributes if name.startswith("on")]
            found += [v for v in attributes.values() if v and v.strip().lower().startswith(("javascript:", "data:"))]
        return found

    def field(self, name: str) -> str:
        """The value of the first field of a name."""
        values = [a["value"] for tag, a in self.elements if tag == "input" and a.get("name") == name]
        assert values, f"the page has no field {name}"
        return values[0] or ""
