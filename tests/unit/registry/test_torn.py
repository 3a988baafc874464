"""One torn record stops nothing: it is passed over and named, and a torn pointer is mended by the move that follows."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from steel_training.cli import main
from steel_training.errors import SteelTrainingError
from steel_training.registry import ChampionMoved, PointerDamaged, Registry
from steel_training.storage import open_storage
from steel_training.verdict import CHAMPION_MOVED, Reason, Verdict

POINTER = "models/steel-defects/champion.json"
TORN = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"{}",
    b'{"version": ["v1"], "moved_at": "t"}',
    b'{"version": "v2", "mo',
]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with versions v1, v2 and v3 and their records; each became champion in turn. v4 was overtaken."""
    folder = tmp_path_factory.mktemp("published")
    found = Registry(open_storage(folder / "store"), "steel-defects")
    for version in ("v1", "v2", "v3", "v4"):
        (bundle := folder / version).mkdir()
        (bundle / "gate.json").write_text(json.dumps({"judged_at": f"2026-11-2{version[1]}"}), encoding="utf-8")
        found.publish(bundle, version)
        overtaken = version == "v4"
        reasons = [Reason(CHAMPION_MOVED, "too late")] if overtaken else []
        found.record(f"run-{version}", Verdict.PUBLISHED, reasons, {"version": version})
        if not overtaken:
            found.promote(version)
    return folder / "store"


@pytest.fixture(params=["folder", "s3"])
def registry(request: pytest.FixtureRequest, published: Path, tmp_path: Path) -> Registry:
    """The registry of a copy of that store."""
    if request.param == "folder":
        uri = str(shutil.copytree(published, tmp_path / "store"))
    else:
        uri = request.getfixturevalue("s3_copy")(published)
    return Registry(open_storage(uri), "steel-defects")


@pytest.mark.parametrize("content", TORN)
def test_a_torn_verdict_hides_no_other(
    registry: Registry, content: bytes, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.store.write("models/steel-defects/decisions/torn.json", content)
    with caplog.at_level(logging.WARNING):
        found = registry.decisions()
    assert [each["run_id"] for each in found] == ["run-v1", "run-v2", "run-v3", "run-v4"]
    assert "decisions/torn.json is not a valid verdict" in caplog.text
    assert main(["models", "list", "--store", registry.store.uri]) == 0
    listed = capsys.readouterr().out
    assert "unreadable: models/steel-defects/decisions/torn.json (" in listed
    assert "run-v3" in listed


@pytest.mark.parametrize("content", TORN)
def test_a_torn_pointer_is_mended_by_a_promotion(registry: Registry, content: bytes) -> None:
    registry.store.write(POINTER, content)
    with pytest.raises(PointerDamaged, match="models promote VERSION"):
        registry.champion()
    assert registry.promote("v2") is None
    assert registry.champion()[0] == "v2"
    assert registry.rollback() == ("v2", "v3"), "as far as is on record"


@pytest.mark.parametrize("content", TORN)
def test_a_torn_pointer_is_mended_by_a_rollback(registry: Registry, content: bytes) -> None:
    registry.store.write(POINTER, content)
    assert registry.rollback() == ("v3", "v2")
    assert registry.champion()[0] == "v2"
    assert registry.rollback() == ("v2", "v1")


def test_a_run_does_not_mend_what_it_cannot_judge(registry: Registry) -> None:
    registry.store.write(POINTER, b"{")
    for expected in (None, "v3"):
        with pytest.raises(PointerDamaged, match="the champion is unknown"):
            registry.promote("v4", expected=expected)
    assert registry.store.read(POINTER) == b"{"


def test_of_two_that_mend_at_once_one_does(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.store.write(POINTER, b"{")
    serve = registry._must_serve

    def meanwhile(version: str, pointer: object) -> None:
        monkeypatch.undo()
        Registry(registry.store, registry.name).promote("v1")
        serve(version, None)

    monkeypatch.setattr(registry, "_must_serve", meanwhile)
    with pytest.raises(ChampionMoved):
        registry.promote("v2")
    assert registry.champion()[0] == "v1"


def test_the_list_tells_a_torn_pointer_and_prune_removes_nothing(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.store.write(POINTER, b"")
    assert main(["models", "list", "--store", registry.store.uri]) == 0
    assert "champion: unknown. " in capsys.readouterr().out
    with pytest.raises(SteelTrainingError, match="is damaged"):
        registry.prune(1)
    assert len(registry.versions()) == 4
