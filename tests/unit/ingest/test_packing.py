"""A packed dataset is the same data: to the profile, to the leak probes, to training; in a folder and on S3."""

from __future__ import annotations

import json
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from steel_training.cli import main
from steel_training.data.dataset import OutputExists, find_dataset, fingerprint, new_copy
from steel_training.data.grey_range import GreyRange, recorded_range
from steel_training.data.images import read_batches
from steel_training.data.profile import profile_patches
from steel_training.errors import UsageError
from steel_training.ingest.packing import pack
from steel_training.ingest.synthetic.sample import make_sample
from steel_training.storage import (
    ObjectNotFound,
    PackDamaged,
    PackedStorage,
    PathEscapes,
    S3Storage,
    StorageError,
    open_storage,
    scratch,
)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packing") / "single"
    make_sample(str(folder), coils=4, photographs_per_coil=1)
    return folder


@pytest.fixture(scope="module")
def packed(single: Path) -> Path:
    out = single.parent / "packed"
    pack(str(single), str(out), patches_a_file=50)
    return out


def profile_of(uri: str) -> pd.DataFrame:
    dataset = find_dataset(uri)
    return profile_patches(dataset.storage, dataset.manifest)


def test_the_profile_of_a_packed_dataset_is_that_of_its_files(
    single: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (single / "ingest.json").write_text('{"grey_range": {"low": 5, "high": 4000}}')
    assert main(["pack", str(single), str(tmp_path / "out"), "--patches-a-file", "50"]) == 0
    assert recorded_range(open_storage(str(tmp_path / "out"))) == GreyRange(5, 4000)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    before, after = profile_of(str(single)), profile_of(str(tmp_path / "out"))
    assert told == {"dataset": str(tmp_path / "out"), "patches": len(before), "files": -(-len(before) // 50)}
    assert len(list((tmp_path / "out").iterdir())) == told["files"] + 2, "and the manifest, and ingest.json"
    assert (after["path"].str.replace(r"^patches-\d{5}\.zip/", "", regex=True) == before["path"]).all()
    assert (after["modified"] - before["modified"]).abs().max() <= 2.0, "ZIP tells times to two seconds"
    same = [column for column in before if column not in ("path", "modified")]
    pd.testing.assert_frame_equal(before[same], after[same])


def test_s3_pack_is_downloaded_once_until_it_changes(
    packed: Path, single: Path, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEEL_TRAINING_SCRATCH", str(tmp_path / "scratch"))
    open_storage(f"{s3}/strips").put_folder(packed, "", last="manifest.csv")
    there, here = find_dataset(f"{s3}/strips"), find_dataset(str(packed))
    assert fingerprint(there) == fingerprint(here)
    inner = open_storage(f"{s3}/strips")
    fetched: list[str] = []
    copy = S3Storage.copy_to
    monkeypatch.setattr(S3Storage, "copy_to", lambda self, key, to: fetched.append(key) or copy(self, key, to))
    paths = list(there.manifest["path"])
    readers = [PackedStorage(inner) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda storage: np.concatenate(list(read_batches(storage, paths, 32))), readers))
    expected = np.concatenate(list(read_batches(open_storage(single), [p.split("/", 1)[1] for p in paths], 32)))
    assert all((each == expected).all() for each in found)
    assert sorted(fetched) == sorted({path.split("/")[0] for path in paths}), "once each"
    first = fetched[0]
    with zipfile.ZipFile(tmp_path / first, "w") as file:
        file.writestr("one", b"changed")
    inner.write(first, (tmp_path / first).read_bytes())
    assert PackedStorage(inner).read(f"{first}/one") == b"changed"


def test_copies_of_s3_leave_room_for_new_ones(
    packed: Path, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEEL_TRAINING_SCRATCH", str(tmp_path))
    open_storage(f"{s3}/strips").put_folder(packed, "", last="manifest.csv")
    sizes = {file.name: file.stat().st_size for file in packed.glob("*.zip")}
    limit = sorted(sizes.values())[-1] + sorted(sizes.values())[-2] + 10
    monkeypatch.setenv("STEEL_TRAINING_CACHE_GB", str(limit / 1e9))
    dataset = find_dataset(f"{s3}/strips")
    for path in dataset.manifest["path"]:
        assert dataset.storage.read(path)
        assert scratch.used_bytes(tmp_path / "shards") <= limit
    assert len(sizes) > 2


def test_damaged_pack_is_reported_per_patch(packed: Path, tmp_path: Path) -> None:
    shutil.copytree(packed, tmp_path / "data")
    names = sorted(file.name for file in (tmp_path / "data").glob("*.zip"))
    with zipfile.ZipFile(tmp_path / "data" / names[0]) as file:
        info = file.infolist()[3]
    content = bytearray((tmp_path / "data" / names[0]).read_bytes())
    content[info.header_offset + 200] ^= 0xFF
    (tmp_path / "data" / names[0]).write_bytes(content)
    (tmp_path / "data" / names[1]).write_bytes((tmp_path / "data" / names[1]).read_bytes()[:1000])
    (tmp_path / "data" / names[2]).unlink()
    profile = profile_of(str(tmp_path / "data"))
    first, second, third = (profile[profile["path"].str.startswith(name)] for name in names[:3])
    damaged = first[first["decode_error"] != ""]
    assert list(damaged["path"]) == [f"{names[0]}/{info.filename}"]
    assert "CRC" in damaged["decode_error"].iloc[0]
    assert second["decode_error"].str.contains("cannot be read as a ZIP file").all()
    assert (third["path_problem"] == "missing file").all()
    with pytest.raises(StorageError, match="cannot be read as a ZIP file.*steel-training pack"):
        PackedStorage(open_storage(tmp_path / "data")).read(second["path"].iloc[0])


def test_oversized_or_escaping_members_are_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb", b"\0" * (64 * 2**20 + 1))
        file.writestr("../x", b"out")
    storage = PackedStorage(open_storage(tmp_path))
    with pytest.raises(PackDamaged, match=r"bomb has 67,108,865 bytes; at most 67,108,864"):
        storage.read("a.zip/bomb")
    with pytest.raises(PathEscapes):
        storage.read("a.zip/../x")
    with pytest.raises(ObjectNotFound, match="holds no nothing"):
        storage.read("a.zip/nothing")
    assert storage.exists("a.zip/bomb")
    assert not storage.exists("a.zip/nothing")
    with pytest.raises(StorageError, match="read only"):
        storage.write("b", b"")


def test_packed_dataset_is_not_packed_again(packed: Path, single: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="packed already"):
        pack(str(packed), str(tmp_path / "again"))
    with pytest.raises(OutputExists):
        pack(str(single), str(packed))
    dataset = find_dataset(str(packed))
    new_copy(dataset, dataset.manifest, str(tmp_path / "copy"))
    assert fingerprint(find_dataset(str(tmp_path / "copy"))) == fingerprint(dataset)
    assert {file.name for file in (tmp_path / "copy").iterdir()} == {file.name for file in packed.iterdir()}
