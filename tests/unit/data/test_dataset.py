"""The input contract: which version a run uses, what the fingerprint depends on, and writing a dataset atomically."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import pytest
from moto import mock_aws

from steel_training.data.dataset import (
    DatasetNotFound,
    ManifestsDiffer,
    ManifestUnreadable,
    OutputExists,
    find_dataset,
    fingerprint,
    groups_of,
    new_dataset,
)
from steel_training.data.versions import like_a_date
from steel_training.errors import UsageError
from steel_training.storage import PathEscapes, open_storage


@pytest.fixture
def versions(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    for day in ("2026-03-01", "2026-03-05"):
        make_dataset(tmp_path / "strip" / day, patches=6)
    (tmp_path / "strip" / "2026-02-30").mkdir()  # not a valid date
    (tmp_path / "strip" / "2026-03-09").mkdir()  # being copied: no manifest yet
    return tmp_path / "strip"


@pytest.mark.parametrize(
    ("as_of", "version"),
    [(None, "2026-03-05"), (date(2026, 3, 4), "2026-03-01"), (date(2026, 3, 5), "2026-03-05")],
)
def test_newest_complete_version_up_to_date_is_used(versions: Path, as_of, version: str) -> None:
    assert find_dataset(str(versions), as_of=as_of).version == version


def test_earliest_version_is_named_if_none_matches(versions: Path) -> None:
    with pytest.raises(DatasetNotFound, match=r"no version as of 2026-02-01: the earliest is 2026-03-01"):
        find_dataset(str(versions), as_of=date(2026, 2, 1))
    with pytest.raises(DatasetNotFound, match="found neither manifest"):
        find_dataset(str(versions / "nowhere"))


def test_what_is_passed_over_is_named_with_the_reason(tmp_path: Path, make_dataset: Callable[..., Path], s3) -> None:
    for name in (
        "2026-02-28",
        "2026-03-01",
        "2026-03-02",
        "2026-3-4",
        "20260305",
        "notes",
        "coil-2026031",
        "2026-02-30",
    ):
        make_dataset(tmp_path / name, patches=4)
    (tmp_path / "2026-02-28" / "manifest.csv").unlink()
    (tmp_path / "2026-03-02" / "manifest.csv").unlink()
    no_date = "not a date of the form YYYY-MM-DD"
    expected = {"2026-3-4": no_date, "20260305": no_date, "2026-02-30": no_date, "2026-03-02": "no manifest yet"}
    open_storage(s3).put_folder(tmp_path, "mill", last="notes/manifest.csv")
    for uri in (str(tmp_path), f"{s3}/mill"):
        found = find_dataset(uri)
        assert (found.version, found.passed_over) == ("2026-03-01", expected)
    (tmp_path / "2026-03-03").mkdir()
    assert find_dataset(str(tmp_path)).passed_over == {**expected, "2026-03-03": "empty"}
    with pytest.raises(DatasetNotFound, match=r"Passed over: 20260305 \(not a date .*2026-02-28 \(no manifest yet\)"):
        find_dataset(str(tmp_path), as_of=date(2026, 2, 28))
    assert find_dataset(str(tmp_path / "2026-03-01")).passed_over == {}


@pytest.mark.parametrize(
    ("name", "like"),
    [
        *(
            (name, True)
            for name in (
                "2026-3-1",
                "2026_03_01",
                "2026.03.01",
                "01-03-2026",
                "2026-13-01",
                "2026-03-01b",
                "v2026-03-01",
            )
        ),
        *((name, False) for name in ("2026-03-01", "patches", "coil7", "123456789012", "v1-2-3", "2026")),
    ],
)
def test_names_that_are_meant_as_dates_are_recognised(name, like) -> None:
    assert like_a_date(name) is like


def test_ids_stay_text_in_csv_and_parquet(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    folder = make_dataset(tmp_path / "d", patches=4, source_id=["001", "NA", "3", "nan"])
    csv = find_dataset(str(folder)).manifest
    assert csv["source_id"].tolist() == ["001", "NA", "3", "nan"]
    csv.to_parquet(folder / "manifest.parquet", index=False)
    (folder / "manifest.csv").unlink()
    pd.testing.assert_frame_equal(find_dataset(str(folder)).manifest, csv)


@pytest.mark.parametrize(("name", "content"), [("manifest.csv", b"a,b\n1,2\n1,2,3\n"), ("manifest.parquet", b"torn")])
def test_unreadable_manifest_is_reported(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestUnreadable, match=f"{name} cannot be read as a table"):
        find_dataset(str(tmp_path))


def test_fingerprint_depends_on_bytes_not_location(tmp_path: Path, make_dataset) -> None:
    folder = make_dataset(tmp_path / "d", patches=6)
    first = fingerprint(find_dataset(str(folder)))
    shutil.copytree(folder, tmp_path / "copy")
    assert fingerprint(find_dataset(str(tmp_path / "copy"))) == first
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="steel")
        open_storage("s3://steel/d").put_folder(folder, "", last="manifest.csv")
        assert fingerprint(find_dataset("s3://steel/d")) == first, (
            "on S3 it comes from a listing, without reading files"
        )
    image = folder / "patches" / "p0003.png"
    image.write_bytes(image.read_bytes()[:-1] + b"\0")
    second = fingerprint(find_dataset(str(folder)))
    image.unlink()
    third = fingerprint(find_dataset(str(folder)))
    manifest = pd.read_csv(folder / "manifest.csv")
    manifest.assign(label=1 - manifest["label"]).to_csv(folder / "manifest.csv", index=False)
    fourth = fingerprint(find_dataset(str(folder)))
    assert len({first, second, third, fourth}) == 4


def test_group_is_group_id_or_else_source_id() -> None:
    table = pd.DataFrame({"source_id": ["a", "b", "c"], "group_id": pd.array(["coil", None, " "], dtype="string")})
    assert groups_of(table).tolist() == ["coil", "b", "c"]
    assert groups_of(table[["source_id"]]).tolist() == ["a", "b", "c"]


def test_new_dataset_is_written_atomically(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), np.uint8)
    torn = np.zeros((8, 8, 7), np.uint8)
    with pytest.raises(TypeError), new_dataset(str(tmp_path / "out")) as writer:
        [writer.add(name, array, label=0, source_id="s") for name, array in (("a", pixels), ("b", torn))]
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="No patch came out"), new_dataset(str(tmp_path / "out")):
        pass
    with new_dataset(str(tmp_path / "out")) as writer:
        writer.add("a", pixels, label=0, source_id="s", metadata={"line": "L1"})
    assert find_dataset(str(tmp_path / "out")).manifest.iloc[0].to_dict() == {
        "patch_id": "a", "path": "patches/a.png", "label": 0, "source_id": "s", "line": "L1",
    }  # fmt: skip
    with pytest.raises(OutputExists, match="nothing was written"), new_dataset(str(tmp_path / "out")):
        pass


def test_no_patch_is_written_outside_the_dataset(tmp_path: Path) -> None:
    with pytest.raises(PathEscapes), new_dataset(str(tmp_path / "out")) as writer:
        writer.add("../../x", np.zeros((8, 8), np.uint8), label=0, source_id="s")
    assert not list(tmp_path.rglob("*.png"))


def test_two_equal_manifests_are_one_version(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    folder = make_dataset(tmp_path / "d", patches=6, defect_type=["pit", "", "", "pit", "", ""], x=[0.0, 1, 2, 3, 4, 5])
    table = find_dataset(str(folder)).manifest
    table.sample(frac=1, random_state=1).astype({"x": int}).to_parquet(folder / "manifest.parquet", index=False)
    assert find_dataset(str(folder)).manifest_name == "manifest.parquet"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.assign(label=1 - t["label"]), "6 of 6 rows, the first at p0000: label is '0' and '1'"),
        (lambda t: t.head(5), "5 rows and 6"),
        (lambda t: t.assign(split="train"), "only one has the column split"),
    ],
)
def test_two_manifests_that_differ_are_refused(tmp_path: Path, make_dataset, change, told: str) -> None:
    folder = make_dataset(tmp_path / "d", patches=6)
    change(find_dataset(str(folder)).manifest).to_parquet(folder / "manifest.parquet", index=False)
    with pytest.raises(ManifestsDiffer, match=told):
        find_dataset(str(folder))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_manifest_of_a_spreadsheet_is_read(tmp_path: Path, make_dataset, encoding: str, separator: str) -> None:
    folder = make_dataset(tmp_path / "d", patches=4, line="Süd")
    plain = find_dataset(str(folder)).manifest
    text = plain.assign(path=plain["path"].str.replace("/", "\\")).to_csv(
        index=False, sep=separator, lineterminator="\r\n"
    )
    (folder / "manifest.csv").write_bytes(text.encode(encoding))
    pd.testing.assert_frame_equal(find_dataset(str(folder)).manifest, plain)


def test_an_encoding_that_does_not_name_itself_is_told(tmp_path: Path, make_dataset) -> None:
    folder = make_dataset(tmp_path / "d", patches=4, line="Süd")
    (folder / "manifest.csv").write_bytes((folder / "manifest.csv").read_bytes().decode().encode("cp1252"))
    with pytest.raises(ManifestUnreadable, match=r"line 2 holds the byte 0xFC, which is not UTF-8: .*'CSV UTF-8'"):
        find_dataset(str(folder))
