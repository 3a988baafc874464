"""A dataset is split anew so that nothing that belongs together stands in two parts; nothing else of it changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from steel_training.cli import main
from steel_training.data.dataset import OutputExists, find_dataset, groups_of
from steel_training.data.grey_range import GreyRange, recorded_range
from steel_training.ingest.regrouping import CannotRegroup, _joined, regroup
from steel_training.ingest.synthetic.sample import make_sample
from steel_training.storage import StorageError, open_storage


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regrouping") / "sample"
    make_sample(str(folder), coils=10, photographs_per_coil=2)
    return folder


def manifest_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "manifest.csv", dtype={"source_id": "string", "group_id": "string"})


def test_split_by_column_keeps_other_columns_and_files(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (sample / "ingest.json").write_text('{"grey_range": {"low": 5, "high": 4000}}')
    assert main(["split", str(sample), str(out), "--group-by", "source_id", "--seed", "3"]) == 0
    assert recorded_range(open_storage(str(out))) == GreyRange(5, 4000), (
        "a copy has the patches, and how they were made"
    )
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    before, after = manifest_of(sample), manifest_of(out)
    same = [column for column in before if column not in ("group_id", "split")]
    pd.testing.assert_frame_equal(before[same], after[same])
    assert after.groupby("source_id")["split"].nunique().max() == 1
    assert set(after["split"]) == {"train", "val", "test"}
    assert told["parts"] == after["split"].value_counts().to_dict()
    for path in after["path"]:
        assert (sample / path).read_bytes() == (out / path).read_bytes()
        assert abs((sample / path).stat().st_mtime - (out / path).stat().st_mtime) < 1, (
            "the probes read when it was written"
        )


def test_same_seed_gives_same_splits_with_both_classes(sample: Path, tmp_path: Path) -> None:
    for name in ("one", "again"):
        assert main(["split", str(sample), str(tmp_path / name), "--group-by", "source_id", "--seed", "3"]) == 0
    made = manifest_of(tmp_path / "one")
    pd.testing.assert_frame_equal(made, manifest_of(tmp_path / "again"))
    assert made.groupby("split")["label"].nunique().to_dict() == {"train": 2, "val": 2, "test": 2}


def test_s3_split_is_complete_or_leaves_nothing(sample: Path, tmp_path: Path, s3: str) -> None:
    few = tmp_path / "few"  # every source image, two patches of each class: thousands of requests would show no more
    rows = manifest_of(sample).groupby(["source_id", "label"]).head(2)
    for path in rows["path"]:
        (few / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(sample / path, few / path)
    rows.to_csv(few / "manifest.csv", index=False)
    storage = open_storage(f"{s3}/strip/2026-01-05")
    storage.put_folder(few, "", last="manifest.csv")
    out = f"{s3}/strip-regrouped/2026-01-05"
    regroup(f"{s3}/strip", out, group_by="source_id")
    made = find_dataset(f"{s3}/strip-regrouped")
    assert made.version == "2026-01-05"
    assert made.manifest.groupby("source_id")["split"].nunique().max() == 1
    assert all(storage.read(path) == made.storage.read(path) for path in made.manifest["path"])
    with pytest.raises(OutputExists):
        regroup(f"{s3}/strip", out, group_by="source_id")

    torn = tmp_path / "torn"
    shutil.copytree(few, torn)
    (torn / manifest_of(torn)["path"].iloc[5]).unlink()
    for target in (f"{s3}/torn-regrouped", str(tmp_path / "torn-regrouped")):
        with pytest.raises(StorageError, match=r"does not exist"):
            regroup(str(torn), target, group_by="source_id")
        assert list(open_storage(target).entries()) == []


def test_finer_column_never_separates_existing_groups(sample: Path, tmp_path: Path) -> None:
    regroup(str(sample), str(tmp_path / "out"), group_by="captured_at")
    before, after = manifest_of(sample), manifest_of(tmp_path / "out")
    assert after.groupby(groups_of(before))["group_id"].nunique().max() == 1
    assert after.groupby("group_id")["split"].nunique().max() == 1


def test_photographs_that_show_one_piece_of_steel_are_joined(sample: Path, tmp_path: Path) -> None:
    """A coil's patches come again, turned, under the name of a coil of their own."""
    leaky = tmp_path / "leaky"
    rows = manifest_of(sample)
    coil = groups_of(rows).iloc[0]
    again = rows[groups_of(rows) == coil].copy()
    for path in rows["path"]:
        (leaky / path).parent.mkdir(parents=True, exist_ok=True)
        (leaky / path).write_bytes((sample / path).read_bytes())
    again["path"] = [f"again/{row}.png" for row in range(len(again))]
    (leaky / "again").mkdir()
    for old, new in zip(rows.loc[again.index, "path"], again["path"], strict=True):
        Image.open(leaky / old).transpose(Image.Transpose.ROTATE_270).save(leaky / new)
    again = again.assign(patch_id=[f"again{row}" for row in range(len(again))], source_id="again", group_id="again")
    pd.concat([rows, again]).to_csv(leaky / "manifest.csv", index=False)

    made = regroup(str(leaky), str(tmp_path / "out"), group_by="steel")
    assert (made.groups_before, made.groups) == (11, 10)
    after = manifest_of(tmp_path / "out")
    assert after.loc[after["source_id"].isin(["again", rows["source_id"].iloc[0]]), "group_id"].nunique() == 1


def test_bad_wishes_are_refused_and_nothing_is_written(sample: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for column in ("colour", "label", "split"):
        with pytest.raises(CannotRegroup, match="source_id"):
            regroup(str(sample), str(out), group_by=column)
    one = tmp_path / "one"
    one.mkdir()
    rows = manifest_of(sample).assign(line="one")
    for path in rows["path"]:
        (one / path).parent.mkdir(parents=True, exist_ok=True)
        (one / path).write_bytes((sample / path).read_bytes())
    rows.to_csv(one / "manifest.csv", index=False)
    with pytest.raises(CannotRegroup, match="1 such groups"):
        regroup(str(one), str(out), group_by="line")
    (one / rows["path"].iloc[3]).write_bytes(b"no image")
    with pytest.raises(CannotRegroup, match="cannot be read"):
        regroup(str(one), str(out), group_by="steel")
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(OutputExists):
        regroup(str(sample), str(out), group_by="source_id")


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["a", "b", "c", None])), min_size=1, max_size=30))
def test_rows_join_through_chains_of_common_values(rows: list[tuple[int, str | None]]) -> None:
    numbers, values = np.array([number for number, _ in rows]), pd.Series([value for _, value in rows], dtype="string")
    found = _joined(numbers, values)
    expected = list(range(len(rows)))
    for _ in rows:  # the slow way: take over the lowest number of whoever shares something
        for i, (number, value) in enumerate(rows):
            for j, (other, also) in enumerate(rows):
                if number == other or (value is not None and value == also):
                    expected[i] = expected[j] = min(expected[i], expected[j])
    pairs = [(i, j) for i in range(len(rows)) for j in range(i)]
    assert [found[i] == found[j] for i, j in pairs] == [expected[i] == expected[j] for i, j in pairs]
