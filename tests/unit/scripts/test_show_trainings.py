"""TensorBoard's folder is the store's event files, no more and no less, whatever happens to the store in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from show_trainings import COPIED, copy_events

from steel_training.storage import StorageError, open_storage

ROOT = Path(__file__).resolve().parents[3]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {COPIED}


@pytest.mark.parametrize("kind", ["s3", "folder"])
def test_folder_follows_the_store(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store = open_storage(request.getfixturevalue("s3") if kind == "s3" else tmp_path / "store")
    board = tmp_path / "board"
    board.mkdir()
    copied: dict[str, str] = {}
    assert copy_events(store, board, copied) == 0, "a store without runs is no failure"

    store.write("runs/one/train_head/tensorboard/train/events.out.tfevents.1", b"first")
    store.write("runs/one/train_head/tensorboard/validation/events.out.tfevents.1", b"first")
    store.write("runs/one/train_head/results.csv", b"no event file")
    store.write("runs/one/evaluate/tensorboard/events.out.tfevents.1", b"no training")
    store.write("runs/two/fine_tune/tensorboard/train/events.out.tfevents.1", b"second")
    assert copy_events(store, board, copied) == 3
    assert files(board) == {
        "one/train_head/train/events.out.tfevents.1",
        "one/train_head/validation/events.out.tfevents.1",
        "two/fine_tune/train/events.out.tfevents.1",
    }
    assert copy_events(store, board, copied) == 0, "what has not changed is not copied again"

    store.write("runs/one/train_head/tensorboard/train/events.out.tfevents.1", b"trained again")
    store.remove_folder("runs/one/train_head/tensorboard/validation", first="events.out.tfevents.1")
    store.remove_folder("runs/two", first="fine_tune")
    assert copy_events(store, board, copied) == 1
    assert files(board) == {"one/train_head/train/events.out.tfevents.1"}
    assert (board / "one/train_head/train/events.out.tfevents.1").read_bytes() == b"trained again"
    assert not (board / "two").exists()


def test_unreachable_store_leaves_the_folder_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_storage(tmp_path / "store")
    store.write("runs/one/train_head/tensorboard/train/events.out.tfevents.1", b"first")
    board = tmp_path / "board"
    board.mkdir()
    copied: dict[str, str] = {}
    copy_events(store, board, copied)
    age = (board / COPIED).stat().st_mtime_ns

    def refuse(prefix: str) -> list[str]:
        raise StorageError("down")

    monkeypatch.setattr(store, "folders", refuse)
    with pytest.raises(StorageError):
        copy_events(store, board, copied)
    assert len(files(board)) == 1
    assert (board / COPIED).stat().st_mtime_ns == age, "the health check sees it"
