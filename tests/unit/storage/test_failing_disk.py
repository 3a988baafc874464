"""A disk that is full, or cannot be written: told with what to do, and what was there stays as it was."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from steel_training.registry import Registry
from steel_training.runs.run import SPACE
from steel_training.storage import FolderStorage, StorageError, open_storage
from steel_training.storage.scratch import ScratchFull, scratch_for

MEGABYTE = 2**20


def mounted(folder: Path, *options: str) -> Iterator[Path]:
    folder.mkdir()
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this user may not mount a disk of its own: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    yield from mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=2m", "tmpfs")


def bundle(folder: Path, size: int) -> Path:
    (folder / "saved_model").mkdir(parents=True)
    (folder / "saved_model" / "model.pb").write_bytes(os.urandom(size))
    (folder / "gate.json").write_text("{}")
    return folder


def test_full_disk_keeps_old_object_and_no_partial_one(small_disk: Path) -> None:
    storage = FolderStorage(small_disk / "store")
    tag = storage.write("pointer", b"v1")
    for condition in ({}, {"if_match": tag}):
        with pytest.raises(StorageError, match="pointer cannot be written: No space left on device"):
            storage.write("pointer", os.urandom(3 * MEGABYTE), **condition)
        assert storage.read("pointer") == b"v1"
    assert [entry.key for entry in storage.entries()] == ["pointer"]
    storage.write("another", os.urandom(MEGABYTE))  # what was begun takes no room


def test_a_folder_of_many_files_ends_with_one_error(small_disk: Path, tmp_path: Path) -> None:
    """Not with a line for each of its files; and nothing of it takes room."""
    (tmp_path / "patches").mkdir()
    for number in range(200):
        (tmp_path / "patches" / f"{number}.png").write_bytes(os.urandom(MEGABYTE // 16))
    with pytest.raises(StorageError, match=r"data cannot be written: No space left on device\.$"):
        FolderStorage(small_disk / "store").put_folder(tmp_path / "patches", "data", last="0.png")
    assert list((small_disk / "store").iterdir()) == []


def test_a_champion_stays_when_there_is_no_room_for_the_next(small_disk: Path, tmp_path: Path) -> None:
    registry = Registry(open_storage(small_disk / "store"), "steel-defects")
    registry.publish(bundle(tmp_path / "v1", MEGABYTE // 2), "v1")
    registry.promote("v1")
    with pytest.raises(StorageError, match="No space left on device"):
        registry.publish(bundle(tmp_path / "v2", 3 * MEGABYTE), "v2")
    assert registry.versions() == ["v1"]
    assert registry.champion()[0] == "v1"
    assert registry.verify("v1") == []
    registry.publish(bundle(tmp_path / "v3", MEGABYTE // 2), "v3")


def test_a_store_that_cannot_be_written_is_read_all_the_same(tmp_path: Path) -> None:
    registry = Registry(open_storage(tmp_path / "writable"), "steel-defects")
    for version in ("v1", "v2"):
        registry.publish(bundle(tmp_path / version, 1000), version)
    registry.promote("v1")
    for folder in mounted(tmp_path / "read-only", "--bind", "-o", "ro", str(tmp_path / "writable")):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        readable = Registry(open_storage(folder), "steel-defects")
        assert readable.champion()[0] == "v1"
        assert readable.verify("v1") == []
        with pytest.raises(StorageError, match="Read-only file system"):
            readable.publish(bundle(tmp_path / "v3", 1000), "v3")
        with pytest.raises(StorageError, match="Read-only file system"):
            readable.promote("v2")


def fill_with_hdf5(folder: Path) -> None:
    with h5py.File(folder / "best.weights.h5", "w") as file:
        file["kernel"] = np.random.default_rng(0).random(MEGABYTE)


def fill_and_fail_otherwise(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / "events").write_bytes(bytes(3 * MEGABYTE))
    raise RuntimeError("Could not initialize events writer.\n[Op:CreateSummaryFileWriter]")


@pytest.mark.parametrize("work", [fill_with_hdf5, fill_and_fail_otherwise])
def test_scratch_that_fills_up_is_named(
    work: Callable[[Path], None], small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with (
        pytest.raises(
            ScratchFull, match=rf"{small_disk} is full \(\d\.\d MB free\) since train_head is running: "
        ) as told,
        scratch_for("train_head", 1000) as folder,
    ):
        work(folder)
    assert "point TMPDIR at a larger one" in str(told.value)
    assert "\n" not in str(told.value)
    assert list(small_disk.iterdir()) == [], "nothing is left there"


def test_other_errors_of_a_stage_stay_what_they_are(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with pytest.raises(RuntimeError, match="something else"), scratch_for("train_head", 1000):
        raise RuntimeError("something else")


def test_too_little_scratch_is_refused_before_work(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    told = rf"{small_disk} has 2\.1 MB free, and fine_tune needs 134 MB there"
    with pytest.raises(ScratchFull, match=told), scratch_for("fine_tune", SPACE["fine_tune"]):
        raise AssertionError("it has begun")


def test_full_scratch_disk_gives_one_line_and_can_be_retried(small_disk: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "steel_training"]
    subprocess.run(
        [*command, "sample", str(tmp_path / "data"), "--coils", "8", "--photographs-per-coil", "1"], check=True
    )

    def stage(name: str, *words: str, scratch: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, name, "--run-id", "r", "--store", str(tmp_path / "store"), *words],
            env={**os.environ, "TMPDIR": str(scratch)},
            capture_output=True,
            text=True,
        )

    assert stage("resolve_dataset", "--dataset", str(tmp_path / "data"), scratch=tmp_path).returncode == 0
    (small_disk / "filler").write_bytes(bytes(2 * MEGABYTE - 8192))
    failed = stage("profile_patches", scratch=small_disk)
    assert failed.returncode == 1
    assert f"{small_disk} has 0.0 MB free, and profile_patches needs 4 MB there" in failed.stderr
    assert "Free space on that disk, or point TMPDIR" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "store" / "runs" / "r" / "profile_patches").exists()
    done = stage("profile_patches", scratch=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "done"
