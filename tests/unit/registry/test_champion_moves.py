"""A champion that moves is told of once, whoever moved it; whatever leaves it in its place is not."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.registry import Registry
from steel_training.registry.champion_moves import champions, moves
from steel_training.storage import open_storage


def publish(registry: Registry, version: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "gate.json").write_text(json.dumps({"version": version}))
        registry.publish(Path(folder), version)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    found = Registry(open_storage(tmp_path / "store"), "steel-defects")
    for version in ("v1", "v2", "v3"):
        publish(found, version)
    return found


def moved(registry: Registry, reported: dict[str, str]) -> list[tuple[str | None, str, str]]:
    found = moves(champions(registry.store.uri), reported)
    assert {each["model"] for each in found} <= {"steel-defects"}
    return [(each["previous"], each["version"], each["move"]) for each in found]


def test_first_champion_and_every_promotion_and_rollback_is_a_move(registry: Registry) -> None:
    assert moved(registry, {}) == []
    registry.promote("v1")
    assert moved(registry, {}) == [(None, "v1", "promotion")]
    registry.promote("v2")
    assert moved(registry, {"steel-defects": "v1"}) == [("v1", "v2", "promotion")]
    registry.rollback()
    assert moved(registry, {"steel-defects": "v2"}) == [("v2", "v1", "rollback")]
    assert moved(registry, {"steel-defects": "v1"}) == []


def test_publication_and_pruning_move_no_champion(registry: Registry) -> None:
    registry.promote("v3")
    written = registry.pointer()
    publish(registry, "v4")
    assert registry.prune(1) == ["v1", "v2"]
    assert registry.pointer() != written, "the pointer was rewritten"
    assert moved(registry, {"steel-defects": "v3"}) == []


def test_several_moves_between_two_looks_are_one(registry: Registry) -> None:
    for version in ("v1", "v2", "v3"):
        registry.promote(version)
    assert moved(registry, {"steel-defects": "v1"}) == [("v1", "v3", "promotion")]
    registry.rollback()
    registry.rollback()
    assert moved(registry, {"steel-defects": "v1"}) == [], "it went and came back"


def test_each_model_name_has_its_own_champion(registry: Registry) -> None:
    other = Registry(registry.store, "plate-defects")
    publish(other, "w1")
    registry.promote("v1")
    other.promote("w1")
    found = champions(registry.store.uri)
    assert [each["model"] for each in moves(found, {})] == ["steel-defects", "plate-defects"], "oldest move first"
    assert [each["model"] for each in moves(found, {"steel-defects": "v1"})] == ["plate-defects"]


def test_damaged_pointer_is_no_move_until_it_is_repaired(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    registry.promote("v1")
    registry.store.write("models/steel-defects/champion.json", b'{"version": ')
    assert moved(registry, {"steel-defects": "v1"}) == []
    assert "champion.json is damaged" in caplog.text
    registry.promote("v1")
    assert moved(registry, {"steel-defects": "v1"}) == []
    registry.promote("v2")
    assert moved(registry, {"steel-defects": "v1"}) == [("v1", "v2", "promotion")]


@given(st.lists(st.sampled_from(["v1", "v2", "v3", "back", "prune", "look"]), max_size=12))
def test_reports_always_end_at_the_champion(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(open_storage(folder), "steel-defects")
        for version in ("v1", "v2", "v3"):
            publish(registry, version)
        reported: dict[str, str] = {}
        for step in [*steps, "look"]:
            if step == "look":
                for move in moves(champions(folder), reported):
                    assert move["previous"] == reported.get("steel-defects")
                    assert move["version"] != move["previous"]
                    reported[move["model"]] = move["version"]
                assert reported.get("steel-defects") == registry.champion()[0]
                assert moves(champions(folder), reported) == []
            elif step == "prune":
                if registry.champion()[0]:
                    registry.prune(3)
            elif step == "back":
                if (pointer := registry.pointer()[0]) and pointer.rolled_back(registry.versions(), ""):
                    registry.rollback()
            else:
                registry.promote(step)
