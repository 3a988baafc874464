"""The watcher tells of each new or relabelled version once, when it is whole, and holds no worker meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from steel_training_airflow.watching import DATASET, SEEN, AnnounceOperator, NewVersionOperator, NewVersionTrigger

from steel_training.data.versions import dated_versions

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "strip" / "2026-11-01", "old")
    return tmp_path / "strip"


def write(version: Path, manifest: str) -> None:
    version.mkdir(parents=True, exist_ok=True)
    (version / "manifest.csv").write_text(manifest, encoding="utf-8")


def watch(root: Path, seen: dict[str, str] | None, meanwhile: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Runs the trigger to its event; `meanwhile` happens between its first look and its second."""
    to_come = [meanwhile]

    def look(uri: str) -> dict[str, str]:
        try:
            return dated_versions(uri)
        finally:
            if to_come:
                to_come.pop()()

    async def first_event() -> dict[str, Any]:
        async for event in NewVersionTrigger(str(root), seen, 0.1).run():
            payload: dict[str, Any] = event.payload
            return payload
        raise AssertionError("no event")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steel_training_airflow.watching.dated_versions", look)
        event = asyncio.run(asyncio.wait_for(first_event(), 300))
    assert not to_come
    return event


def test_first_poll_records_and_announces_nothing(root: Path) -> None:
    assert watch(root, None) == {"new": [], "seen": dated_versions(str(root))}


def test_new_versions_are_announced_oldest_first(root: Path) -> None:
    def come() -> None:
        write(root / "2026-11-03", "new")
        write(root / "2026-11-02", "new")

    event = watch(root, dated_versions(str(root)), come)
    assert event["new"] == ["2026-11-02", "2026-11-03"]
    assert event["seen"] == {name: tag for name, tag in dated_versions(str(root)).items() if name != "2026-11-01"}


def test_relabelled_version_is_announced_again(root: Path) -> None:
    event = watch(root, dated_versions(str(root)), lambda: write(root / "2026-11-01", "relabelled"))
    assert event["new"] == ["2026-11-01"]


def test_watch_survives_an_unreachable_storage(tmp_path: Path, monkeypatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
    from steel_training.storage import open_storage

    storage = open_storage("s3://away/strip")

    def come_back() -> None:
        storage.client.create_bucket(Bucket="away")  # type: ignore[attr-defined]
        storage.write("2026-11-05/manifest.csv", b"x")

    try:
        assert watch("s3://away/strip", {}, come_back)["new"] == ["2026-11-05"]  # type: ignore[arg-type]
    finally:
        server.stop()


def test_triggerer_can_recreate_the_trigger() -> None:
    path, arguments = NewVersionTrigger("s3://b/strip", {"2026-11-01": "t"}, 60.0).serialize()
    assert path == "steel_training_airflow.watching.NewVersionTrigger"
    assert NewVersionTrigger(**arguments).serialize() == (path, arguments)


def test_wait_defers_and_returns_new_versions(root: Path, asset_state: Any) -> None:
    with DAG("watch", schedule=None):
        wait = NewVersionOperator(task_id="wait", root=f"{root}/", seconds=5)
    state = asset_state({SEEN: {"2026-11-01": "t"}})
    seen: Any = {"asset_state_store": {DATASET: state}}
    with pytest.raises(TaskDeferred) as deferred:
        wait.execute(seen)
    assert deferred.value.trigger.serialize()[1] == {"root": f"{root}/", "seen": {"2026-11-01": "t"}, "seconds": 5}
    found = wait.found(seen, {"new": ["2026-11-02"], "seen": {"2026-11-02": "u"}})
    assert found == [{"version": "2026-11-02", "uri": os.fspath(root / "2026-11-02"), "tag": "u"}]
    assert state[SEEN] == {"2026-11-01": "t"}, "noted only when it has been told of"


def test_announcement_fills_event_and_state(root: Path, asset_state: Any) -> None:
    with DAG("watch", schedule=None):
        announce = AnnounceOperator(task_id="announce", version={"version": "2026-11-02", "uri": "u", "tag": "t"})
    state, event = asset_state({SEEN: {"2026-11-01": "s"}}), SimpleNamespace(extra={})
    announce.execute({"asset_state_store": {DATASET: state}, "outlet_events": {DATASET: event}})  # type: ignore[arg-type]
    assert event.extra == {"version": "2026-11-02", "uri": "u"}
    assert state[SEEN] == {"2026-11-01": "s", "2026-11-02": "t"}


def test_versions_are_announced_one_at_a_time() -> None:
    from airflow.dag_processing.dagbag import DagBag

    announce = DagBag(str(ROOT / "dags")).dags["steel_dataset_watch"].get_task("announce")
    assert (announce.outlets, announce.max_active_tis_per_dag) == ([DATASET], 1)
    assert announce.unmap({"version": {"version": "2026-11-02", "uri": "u", "tag": "t"}}).version["uri"] == "u"


def test_watch_without_a_dataset_fails(asset_state: Any) -> None:
    with DAG("watch", schedule=None):
        wait = NewVersionOperator(task_id="wait", root="")
    with pytest.raises(AirflowFailException, match="STEEL_TRAINING_DATASET"):
        wait.execute({"asset_state_store": {DATASET: asset_state()}})  # type: ignore[arg-type]
