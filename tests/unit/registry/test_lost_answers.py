"""A move of the champion whose answer was lost is told as it was: made, not made, or not known."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steel_training.registry import ChampionMoved, Registry
from steel_training.storage import FolderStorage, StorageError, open_storage
from steel_training.storage import s3 as s3_module

_SPEC = importlib.util.spec_from_file_location(
    "failing_road", Path(__file__).parents[1] / "storage" / "failing_road.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
failing_road = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(failing_road)


@pytest.fixture
def direct(s3: str, tmp_path: Path) -> Registry:
    """A registry with versions v1 to v3, of which v1 is champion, by a road without faults."""
    registry = Registry(open_storage(f"{s3}/store"), "steel-defects")
    for version in ("v1", "v2", "v3"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "model").write_text(version, encoding="utf-8")
        registry.publish(tmp_path / version, version)
    registry.promote("v1")
    return registry


@pytest.fixture
def road(direct: Registry, s3_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The road that clients made from now on take; pauses are not waited for."""
    found = failing_road.FailingRoad(s3_address)
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.address)
    monkeypatch.setattr(s3_module, "_pause", lambda attempt: None)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    yield found
    found.close()


@pytest.fixture
def registry(road: Any, s3: str) -> Registry:
    return Registry(open_storage(f"{s3}/store"), "steel-defects")


def test_a_move_that_was_made_is_told_as_made(registry: Registry, direct: Registry, road: Any) -> None:
    road.choose = lambda method, path: "lost after" if method == "PUT" else ""
    assert registry.promote("v2", expected="v1") == "v1"
    assert road.met["lost after"] == s3_module.ATTEMPTS, "no answer of them arrived"
    assert direct.champion()[0] == "v2"
    assert registry.rollback() == ("v2", "v1")
    assert direct.champion()[0] == "v1"


def test_a_move_that_was_not_made_is_told_as_such(registry: Registry, direct: Registry, road: Any) -> None:
    road.choose = lambda method, path: "lost before" if method == "PUT" else ""
    with pytest.raises(StorageError, match="cannot be reached") as told:
        registry.promote("v2")
    assert "It is unknown whether" not in str(told.value)
    assert direct.champion()[0] == "v1"


def test_a_move_of_which_nothing_is_known_is_told_as_such(registry: Registry, direct: Registry, road: Any) -> None:
    lost: list[str] = []

    def choose(method: str, path: str) -> str:
        lost.extend([path] if method == "PUT" else [])
        return ("lost after" if method == "PUT" else "lost before") if lost else ""

    road.choose = choose
    with pytest.raises(StorageError, match=r"It is unknown whether the champion .* was moved to v2"):
        registry.promote("v2")
    assert direct.champion()[0] == "v2"


def test_of_two_moves_at_once_the_loser_is_told(registry: Registry, direct: Registry, road: Any) -> None:
    moved: list[str] = []

    def choose(method: str, path: str) -> str:
        if method == "PUT" and not moved:
            moved.append(path)
            direct.promote("v3")
        return ""

    road.choose = choose
    with pytest.raises(ChampionMoved, match="nothing was changed"):
        registry.promote("v2")
    assert direct.champion()[0] == "v3"


def test_a_folder_that_fails_after_the_move_has_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(FolderStorage(tmp_path / "store"), "steel-defects")
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "model").write_text("v1", encoding="utf-8")
    registry.publish(tmp_path / "v1", "v1")
    replace, fsync, named = os.replace, os.fsync, []

    def replaced(source: str, target: Path) -> None:
        replace(source, target)
        named.append(target)

    def fails(descriptor: int) -> None:
        if named:
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr("steel_training.storage.folder.os.replace", replaced)
    monkeypatch.setattr("steel_training.storage.folder.os.fsync", fails)
    registry.promote("v1")
    assert registry.champion()[0] == "v1"
