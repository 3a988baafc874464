"""A folder and an S3 prefix keep the same promises: whole objects, whole folders, conditional writes, nothing outside."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.errors import UsageError
from steel_training.storage import (
    ConditionFailed,
    FolderStorage,
    ObjectNotFound,
    PathEscapes,
    S3Storage,
    Storage,
    StorageError,
    confined,
    open_storage,
)


@pytest.fixture(params=["folder", "s3", "s3 at the root"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return open_storage(tmp_path / "store")
    bucket = request.getfixturevalue("s3")
    return open_storage(f"{bucket}/some/prefix" if request.param == "s3" else bucket)


def test_what_is_written_is_read_listed_and_addressed(storage: Storage) -> None:
    storage.write("a/b.txt", b"one")
    storage.write("a/c/d.txt", b"three")
    storage.write_json("top.json", {"x": 1})
    assert storage.read("a/b.txt") == b"one"
    assert storage.read_json("top.json") == {"x": 1}
    assert {(e.key, e.size) for e in storage.entries("a")} == {("a/b.txt", 3), ("a/c/d.txt", 5)}
    assert {e.key for e in storage.entries()} == {"a/b.txt", "a/c/d.txt", "top.json"}
    assert (storage.folders(), storage.folders("a"), storage.folders("nowhere")) == (["a"], ["c"], [])
    assert [(e.key, e.size) for e in storage.files("a")] == [("a/b.txt", 3)]
    assert [e.key for e in storage.files()] == ["top.json"]
    assert storage.files("nowhere") == []
    assert storage.entry("a/c/d.txt").size == 5
    for absent in ("a", "", "gone"):
        with pytest.raises(ObjectNotFound):
            storage.entry(absent)
    assert storage.exists("a/b.txt")
    assert not storage.exists("a")
    assert storage.location("a/b.txt") == f"{storage.uri}/a/b.txt"
    assert open_storage(storage.uri).read("a/b.txt") == b"one"


def test_what_is_not_there_is_told_with_its_address(storage: Storage) -> None:
    for read in (storage.read, storage.read_tagged, storage.read_json):
        with pytest.raises(ObjectNotFound, match=f"{storage.uri}/gone"):
            read("gone")
    with pytest.raises(ObjectNotFound), storage.local_folder("gone"):
        pass


def test_conditional_write_requires_its_condition(storage: Storage) -> None:
    first = storage.write("pointer", b"1", if_absent=True)
    with pytest.raises(ConditionFailed):
        storage.write("pointer", b"2", if_absent=True)
    with pytest.raises(ConditionFailed):
        storage.write("pointer", b"2", if_match="another")
    assert storage.read_tagged("pointer") == (b"1", first)
    second = storage.write("pointer", b"2", if_match=first)
    assert second != first
    with pytest.raises(ConditionFailed):
        storage.write("pointer", b"3", if_match=first)
    with pytest.raises(ConditionFailed):
        storage.write("nothing here", b"3", if_match=first)
    assert storage.read("pointer") == b"2"


def test_concurrent_conditional_writes_have_one_winner(tmp_path: Path) -> None:
    """Between threads here, between processes by the same file lock; on S3 the service itself compares."""
    storage = open_storage(tmp_path)
    tag = storage.write("pointer", b"start")
    for round_ in range(20):
        gate = threading.Barrier(8)

        def move(writer: int, round_: int = round_, tag: str = tag, gate: threading.Barrier = gate) -> str | None:
            gate.wait()
            try:
                return storage.write("pointer", f"{round_}-{writer}".encode(), if_match=tag)
            except ConditionFailed:
                return None

        with ThreadPoolExecutor(8) as pool:
            winners = [won for won in pool.map(move, range(8)) if won is not None]
        assert len(winners) == 1
        tag = winners[0]
        assert storage.read_tagged("pointer")[1] == tag


def test_put_folder_replaces_the_old_one_completely(storage: Storage, tmp_path: Path) -> None:
    for number, names in enumerate((("a", "b", "result.json"), ("a", "result.json"))):
        local = tmp_path / f"local{number}"
        (local / "deep").mkdir(parents=True)
        for name in names:
            (local / "deep" / name).write_text(str(number), encoding="utf-8")
        (local / "result.json").write_text(str(number), encoding="utf-8")
        storage.put_folder(local, "runs/r/stage", last="result.json")
    keys = {e.key for e in storage.entries("runs")}
    assert keys == {"runs/r/stage/deep/a", "runs/r/stage/deep/result.json", "runs/r/stage/result.json"}
    with storage.local_folder("runs/r/stage") as folder:
        assert (folder / "deep" / "a").read_text(encoding="utf-8") == "1"


def test_last_file_of_a_folder_is_written_last(s3: str, tmp_path: Path) -> None:
    """On S3 a folder is many objects: the marker must be the last to come and, in a replacement, the first to go."""
    storage = S3Storage("steel", "prefix")
    (tmp_path / "x").mkdir()
    for name in ("result.json", "a", "z"):
        (tmp_path / "x" / name).write_text("", encoding="utf-8")
    storage.put_folder(tmp_path / "x", "stage", last="result.json")
    client, order = storage.client, []
    client.meta.events.register("before-call.s3.PutObject", lambda params, **_: order.append(params["url_path"]))
    client.meta.events.register("before-call.s3.DeleteObject", lambda params, **_: order.append("delete"))
    client.meta.events.register("before-call.s3.DeleteObjects", lambda params, **_: order.append("delete"))
    storage.put_folder(tmp_path / "x", "stage", last="result.json")
    assert order[0] == "delete"
    assert order[-1].endswith("result.json")
    assert sum("result.json" in step for step in order) == 1


def test_remove_folder_keeps_its_neighbours(storage: Storage) -> None:
    for key in ("models/v1/checksums.json", "models/v1/deep/er/a", "models/v10/a", "models/v1.json"):
        storage.write(key, b"x")
    storage.remove_folder("models/v1", first="checksums.json")
    storage.remove_folder("models/v1", first="checksums.json")
    storage.remove_folder("models/never/was", first="checksums.json")
    assert {entry.key for entry in storage.entries()} == {"models/v10/a", "models/v1.json"}
    assert storage.folders("models") == ["v10"]
    with pytest.raises(PathEscapes):
        storage.remove_folder("../models", first="checksums.json")


def test_the_marker_of_a_folder_is_the_first_thing_to_go(s3: str) -> None:
    storage = S3Storage("steel", "prefix")
    for name in ("a", "checksums.json", "z"):
        storage.write(f"v1/{name}", b"x")
    order: list[str] = []
    storage.client.meta.events.register(
        "before-call.s3.DeleteObject", lambda params, **_: order.append(params["url_path"])
    )
    storage.remove_folder("v1", first="checksums.json")
    assert order[0].endswith("v1/checksums.json")
    assert len(order) == 3


def test_interrupted_removal_leaves_no_visible_folder(tmp_path: Path, monkeypatch) -> None:
    storage = FolderStorage(tmp_path)
    storage.write("v1/checksums.json", b"x")
    storage.write("v1/a", b"x")

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("steel_training.storage.folder.shutil.rmtree", broken)
    with pytest.raises(StorageError, match="v1 cannot be removed"):
        storage.remove_folder("v1", first="checksums.json")
    assert storage.folders() == []
    assert list(storage.entries()) == []


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "a\0b", "a\\b", ".."])
def test_no_key_leads_outside(storage: Storage, key: str) -> None:
    for use in (storage.read, storage.exists, lambda k: storage.write(k, b""), lambda k: list(storage.entries(k))):
        with pytest.raises(PathEscapes, match="leaves its folder"):
            use(key)


@given(st.text(alphabet="ab./\\\0~ ", max_size=12))
def test_a_confined_key_stays_inside_whatever_it_looks_like(key: str) -> None:
    root = Path("/srv/store")
    try:
        inside = confined(key)
    except PathEscapes:
        return
    assert (root / inside).is_relative_to(root)
    assert ".." not in Path(inside).parts
    assert confined(inside) == inside


def test_unfinished_files_and_name_tricks_are_not_listed(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    storage.write("models/champion.json", b"{}", if_absent=True)
    (tmp_path / "models" / ".champion.json.half").write_bytes(b"{")
    (tmp_path / ".staging").mkdir()
    assert {e.key for e in storage.entries()} == {"models/champion.json"}
    assert storage.folders() == ["models"]


@pytest.mark.parametrize("uri", ["gs://bucket/x", "http://host/x", "s3://", "s3:///key"])
def test_an_address_of_another_kind_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        open_storage(uri)


def test_a_service_that_is_not_there_is_told_of_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    with pytest.raises(StorageError, match=r"S3 cannot be reached for s3://steel/x") as told:
        S3Storage("steel").read("x")
    assert "planted-secret" not in str(told.value)


def test_a_bucket_that_does_not_exist_is_no_missing_object(s3: str) -> None:
    with pytest.raises(StorageError, match="NoSuchBucket") as told:
        S3Storage("nobody").read("x")
    assert not isinstance(told.value, ObjectNotFound)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = FolderStorage(tmp_path)
    storage.write("pointer", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("steel_training.storage.folder.os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        storage.write("pointer", b"new")
    assert storage.read("pointer") == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["pointer"]
