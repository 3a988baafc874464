"""Of a dataset's folder only regular files inside it are read, of bounded size, and nothing is waited for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pandas as pd
import pytest

from steel_training.data.dataset import find_dataset, fingerprint, new_copy
from steel_training.data.measurements import LEAVES_DATASET, measure_file
from steel_training.data.profile import profile_patches
from steel_training.storage import FileRefused, ObjectNotFound, PathEscapes, Storage, dataset_folder, open_dataset


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "patches").mkdir(parents=True)
    (tmp_path / "data" / "patches" / "p1.png").write_bytes(b"patch")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "shadow").write_bytes(b"root:x")
    return tmp_path / "data"


@pytest.fixture
def storage(data: Path) -> Storage:
    return open_dataset(data)


@pytest.mark.parametrize("link", ["patches/file.png", "patches/away/shadow", "patches/twice.png"])
def test_no_link_leads_out(link: str, data: Path, storage: Storage) -> None:
    (data / "patches" / "file.png").symlink_to("../../secret/shadow")
    (data / "patches" / "away").symlink_to(data.parent / "secret")
    (data / "patches" / "twice.png").symlink_to("file.png")
    for use in (storage.read, storage.read_tagged, storage.md5, storage.entry):
        with pytest.raises(PathEscapes, match="link that leads out of the dataset"):
            use(link)
    with pytest.raises(PathEscapes):
        storage.copy_to(link, data.parent / "copy")
    assert measure_file(storage, link).path_problem == LEAVES_DATASET
    assert {entry.key for entry in storage.contents()} == {"patches/p1.png"}, "nor is its size told"
    assert {entry.key for entry in storage.files("patches")} == {"patches/p1.png"}


def test_a_link_within_the_dataset_is_followed(data: Path, storage: Storage) -> None:
    (data / "patches" / "same.png").symlink_to("p1.png")
    (data / "again").symlink_to(data / "patches")
    assert storage.read("patches/same.png") == storage.read("again/p1.png") == b"patch"
    (data.parent / "linked").symlink_to(data)
    assert open_dataset(data.parent / "linked").read("patches/p1.png") == b"patch"


def test_a_fifo_and_a_device_are_refused_at_once(data: Path, storage: Storage) -> None:
    os.mkfifo(data / "patches" / "fifo.png")
    for use in (storage.read, storage.md5):
        with pytest.raises(FileRefused, match="not a regular file"):
            use("patches/fifo.png")
    assert "not a regular file" in str(measure_file(storage, "patches/fifo.png").decode_error)
    with pytest.raises(FileRefused, match=r"not a regular file \(c"):
        open_dataset("/dev").read("zero")


def test_a_fifo_in_the_place_of_a_pack_or_manifest_is_refused(data: Path, storage: Storage) -> None:
    os.mkfifo(data / "strips.zip")
    with pytest.raises(FileRefused):
        storage.read("strips.zip/p1.png")
    (data / "manifest.csv").symlink_to("/dev/zero")
    with pytest.raises(PathEscapes):
        find_dataset(str(data))


def test_no_more_is_read_than_the_limit(data: Path, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_folder, "LARGEST_FILE", 1000)
    (data / "patches" / "just.png").write_bytes(bytes(1000))
    (data / "patches" / "more.png").write_bytes(bytes(1001))
    assert storage.read("patches/just.png") == bytes(1000)
    with pytest.raises(FileRefused, match=r"more.png is too large; at most 1,000 bytes"):
        storage.read("patches/more.png")
    assert storage.md5("patches/more.png") == hashlib.md5(bytes(1001)).hexdigest(), "piece by piece"


def test_a_huge_sparse_file_costs_no_memory(data: Path, storage: Storage) -> None:
    with (data / "patches" / "huge.png").open("wb") as file:
        file.truncate(6_500_000_000)
    with pytest.raises(FileRefused, match="too large"):
        storage.read("patches/huge.png")


@pytest.mark.parametrize("key", ["gone.png", "patches", "", "patches/p1.png/below"])
def test_what_is_not_there_is_not_found(key: str, storage: Storage) -> None:
    with pytest.raises(ObjectNotFound):
        storage.read(key)


def test_a_profile_names_what_was_not_read_and_goes_on(data: Path) -> None:
    os.mkfifo(data / "patches" / "fifo.png")
    (data / "patches" / "link.png").symlink_to("/etc/passwd")
    names = ("p1", "fifo", "link")
    rows = {"patch_id": names, "path": [f"patches/{name}.png" for name in names], "label": 0, "source_id": "s"}
    pd.DataFrame(rows).to_csv(data / "manifest.csv", index=False)
    dataset = find_dataset(str(data))
    assert fingerprint(dataset) == fingerprint(dataset)
    profile = profile_patches(dataset.storage, dataset.manifest).set_index("patch_id")
    assert profile.loc["link", "path_problem"] == LEAVES_DATASET
    assert pd.isna(profile.loc["link", "bytes"])
    assert "not a regular file" in profile.loc["fifo", "decode_error"]
    with pytest.raises((FileRefused, PathEscapes)):
        new_copy(dataset, dataset.manifest, str(data.parent / "copy"))
    assert not (data.parent / "copy").exists()
