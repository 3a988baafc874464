"""The champion is watched where it is kept: each move is announced once, and no worker is held meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from steel_training_airflow.champion_watching import (
    CHAMPION,
    REPORTED,
    AnnounceChampionOperator,
    ChampionMovedOperator,
    ChampionTrigger,
)

from steel_training.registry import Pointer, Registry
from steel_training.registry.champion_moves import champions
from steel_training.storage import StorageUnavailable, open_storage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def registry(store: Path, tmp_path: Path) -> Registry:
    """A store with two versions, of which the first is the champion."""
    found = Registry(open_storage(store), "steel-defects")
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "gate.json").write_text(json.dumps({"version": version}))
        found.publish(tmp_path / version, version)
    found.promote("v1")
    return found


def watch(store: str, reported: dict[str, str] | None, *meanwhile: Callable[[], None]) -> dict[str, Any]:
    """Runs the trigger to its event; what happens `meanwhile` happens before its second look, its third, ..."""
    to_come = [lambda: None, *meanwhile]

    def look(uri: str) -> dict[str, Pointer]:
        if to_come:
            to_come.pop(0)()
        return champions(uri)

    async def first_event() -> dict[str, Any]:
        async for event in ChampionTrigger(store, reported, 0.1).run():
            payload: dict[str, Any] = event.payload
            return payload
        raise AssertionError("no event")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steel_training_airflow.champion_watching.champions", look)
        event = asyncio.run(asyncio.wait_for(first_event(), 300))
    assert not to_come
    return event


def test_first_poll_records_and_announces_nothing(registry: Registry) -> None:
    assert watch(registry.store.uri, None) == {"moves": [], "known": {"steel-defects": "v1"}}


def test_first_champion_of_an_empty_store_is_announced(store: Path, registry: Registry) -> None:
    (move,) = watch(registry.store.uri, {})["moves"]
    assert (move["previous"], move["version"], move["move"]) == (None, "v1", "promotion")


def test_move_is_awaited_through_what_moves_nothing(registry: Registry, tmp_path: Path) -> None:
    def unreachable() -> None:
        raise StorageUnavailable("The store does not answer.")

    def publish() -> None:
        (tmp_path / "v3").mkdir()
        (tmp_path / "v3" / "gate.json").write_text("{}")
        registry.publish(tmp_path / "v3", "v3")

    event = watch(
        registry.store.uri, {"steel-defects": "v1"}, unreachable, publish, lambda: registry.promote("v2") and None
    )
    (move,) = event["moves"]
    assert (move["model"], move["previous"], move["version"]) == ("steel-defects", "v1", "v2")


def test_triggerer_can_recreate_the_trigger() -> None:
    path, arguments = ChampionTrigger("s3://b/store", {"steel-defects": "v1"}, 60.0).serialize()
    assert path == "steel_training_airflow.champion_watching.ChampionTrigger"
    assert ChampionTrigger(**arguments).serialize() == (path, arguments)


def test_wait_defers_with_the_workers_store_and_what_was_reported(store: Path, asset_state: Any) -> None:
    with DAG("watch", schedule=None):
        wait = ChampionMovedOperator(task_id="wait", seconds=5)
    context: Any = {"asset_state_store": {CHAMPION: asset_state({REPORTED: {"steel-defects": "v1"}})}}
    with pytest.raises(TaskDeferred) as deferred:
        wait.execute(context)
    expected = {"store": str(store), "reported": {"steel-defects": "v1"}, "seconds": 5}
    assert deferred.value.trigger.serialize()[1] == expected


def test_known_champions_are_recorded_and_moves_only_when_announced(store: Path, asset_state: Any) -> None:
    with DAG("watch", schedule=None):
        wait = ChampionMovedOperator(task_id="wait")
    state = asset_state()
    context: Any = {"asset_state_store": {CHAMPION: state}}
    assert wait.moved(context, {"moves": [], "known": {}}) == []
    assert state == {REPORTED: {}}, "an empty store is known as well"
    assert wait.moved(context, {"moves": [{"model": "steel-defects"}]}) == [{"model": "steel-defects"}]
    assert state == {REPORTED: {}}


def test_announcement_says_what_moved_and_where_it_is(store: Path, asset_state: Any) -> None:
    move = {"model": "steel-defects", "version": "v2", "previous": "v1", "move": "promotion", "moved_at": "2026-11-29"}
    with DAG("watch", schedule=None):
        announce = AnnounceChampionOperator(task_id="announce", move=move)
    state, event = asset_state({REPORTED: {"steel-defects": "v1", "plate": "w"}}), SimpleNamespace(extra={})
    announce.execute({"asset_state_store": {CHAMPION: state}, "outlet_events": {CHAMPION: event}})  # type: ignore[arg-type]
    assert event.extra == {**move, "uri": f"{store}/models/steel-defects/versions/v2"}
    assert state[REPORTED] == {"steel-defects": "v2", "plate": "w"}


def test_moves_are_announced_one_at_a_time() -> None:
    from airflow.dag_processing.dagbag import DagBag

    announce = DagBag(str(ROOT / "dags")).dags["steel_champion_watch"].get_task("announce")
    assert (announce.outlets, announce.max_active_tis_per_dag) == ([CHAMPION], 1)


def test_watch_without_a_store_fails(monkeypatch: pytest.MonkeyPatch, asset_state: Any) -> None:
    monkeypatch.delenv("STEEL_TRAINING_STORE", raising=False)
    with DAG("watch", schedule=None):
        wait = ChampionMovedOperator(task_id="wait")
    with pytest.raises(AirflowFailException, match="STEEL_TRAINING_STORE"):
        wait.execute({"asset_state_store": {CHAMPION: asset_state()}})  # type: ignore[arg-type]
