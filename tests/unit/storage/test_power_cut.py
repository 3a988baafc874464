"""What a folder store calls written is on the disk: files and folders are synced before a name says that they are whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from steel_training.storage import FolderStorage


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was synced and renamed, in order: ("sync" or "name", path)."""
    found: list[tuple[str, str]] = []
    fsync, replace, rename = os.fsync, os.replace, Path.rename

    def synced(descriptor: int) -> None:
        found.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def replaced(source: str, target: str | Path) -> None:
        found.append(("name", str(target)))
        replace(source, target)

    def renamed(self: Path, target: Path) -> Path:
        found.append(("name", str(target)))
        return rename(self, target)

    monkeypatch.setattr("steel_training.storage.folder.os.fsync", synced)
    monkeypatch.setattr("steel_training.storage.folder.os.replace", replaced)
    monkeypatch.setattr(Path, "rename", renamed)
    return found


@pytest.mark.parametrize("condition", [{}, {"if_absent": True}])
def test_an_object_and_its_name_are_synced(
    condition: dict[str, bool], tmp_path: Path, done: list[tuple[str, str]]
) -> None:
    FolderStorage(tmp_path).write("models/m/champion.json", b"{}", **condition)
    folder = str(tmp_path / "models" / "m")
    named = done.index(("name", f"{folder}/champion.json"))
    assert done[named - 1][0] == "sync"
    assert Path(done[named - 1][1]).name.startswith(".champion.json."), "the content"
    assert done[named + 1 :] == [("sync", folder)]
    assert {("sync", str(tmp_path)), ("sync", str(tmp_path / "models"))} <= set(done[:named]), "the folders made for it"


def test_a_folder_is_synced_whole_before_its_name(tmp_path: Path, done: list[tuple[str, str]]) -> None:
    local, store = tmp_path / "local", tmp_path / "store"
    (local / "deep" / "er").mkdir(parents=True)
    for name in ("result.json", "deep/a", "deep/er/b"):
        (local / name).write_text(name, encoding="utf-8")
    FolderStorage(store).put_folder(local, "runs/r/stage", last="result.json")
    named = done.index(("name", str(store / "runs/r/stage")))
    synced = {path.split("/", len((store / "runs/r").parts))[-1] for kind, path in done[:named] if kind == "sync"}
    for path in ("result.json", "deep", "deep/a", "deep/er", "deep/er/b"):
        assert any(each.endswith(f"/{path}") for each in synced), path
    assert any(each.startswith(".stage.") and "/" not in each for each in synced), "the folder itself"
    assert done[named + 1 :] == [("sync", str(store / "runs/r"))]
