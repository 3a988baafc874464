from __future__ import annotations

import filecmp
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steel_training.data.dataset import OutputExists, find_dataset
from steel_training.data.splits import assign_splits
from steel_training.ingest import ingest_masks, make_sample
from steel_training.ingest.synthetic import SampleInvalid
from steel_training.ingest.synthetic.defects import DEFECTS
from steel_training.ingest.synthetic.marks import MARKS
from steel_training.ingest.synthetic.sample import LINES, photograph_coil


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_sample_bytes_depend_only_on_the_seed(tmp_path) -> None:
    for out, seed in (("a", 3), ("b", 3), ("c", 4)):
        make_sample(str(tmp_path / out), coils=2, photographs_per_coil=1, seed=seed)
    names = files_of(tmp_path / "a")
    assert names == files_of(tmp_path / "b")
    assert filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", names, shallow=False)[0] == names
    photographs = [name for name in names if name.startswith("photographs/")]
    assert filecmp.cmpfiles(tmp_path / "a", tmp_path / "c", photographs, shallow=False)[1] == photographs


def test_a_coil_does_not_depend_on_how_many_others_are_made() -> None:
    few = list(photograph_coil(3, photographs=1, shape=(64, 64), seed=1))
    many = list(photograph_coil(3, photographs=3, shape=(64, 64), seed=1))
    np.testing.assert_array_equal(few[0].pixels, many[0].pixels)


def test_the_manifest_keeps_the_contract_and_names_patches_only(sample) -> None:
    table = find_dataset(str(sample)).manifest
    assert table.columns.tolist() == [
        "patch_id", "path", "label", "source_id", "group_id", "line", "captured_at", "x", "y", "defect_type",
    ]  # fmt: skip
    assert table["patch_id"].is_unique
    assert table["path"].str.startswith("patches/").all()
    assert len(list((sample / "patches").iterdir())) == len(table)
    assert {path.name for path in sample.iterdir()} == {"patches", "photographs", "masks", "manifest.csv"}
    times = table["captured_at"].map(datetime.fromisoformat)
    assert times.is_monotonic_increasing
    assert times.map(lambda time: time.tzinfo is not None).all()


def test_every_label_agrees_with_the_mask_of_its_photograph(sample) -> None:
    for row in find_dataset(str(sample)).manifest.itertuples():
        window = np.s_[row.y : row.y + 64, row.x : row.x + 64]
        mask = np.asarray(Image.open(sample / "masks" / f"{row.source_id}.png"))[window]
        photograph = np.asarray(Image.open(sample / "photographs" / f"{row.source_id}.png"))[window]
        share = (mask > 0).mean()
        assert share >= 0.02 if row.label else share == 0
        np.testing.assert_array_equal(np.asarray(Image.open(sample / row.path)), photograph)


def test_sample_masks_can_be_ingested_again(sample, tmp_path) -> None:
    names = {number: name for number, (name, _) in enumerate(DEFECTS, start=1)}
    ingest_masks(str(sample / "photographs"), str(sample / "masks"), str(tmp_path / "again"), names=names)
    columns = ["patch_id", "label", "defect_type"]
    again, first = (find_dataset(str(folder)).manifest[columns] for folder in (tmp_path / "again", sample))
    assert again.equals(first)


def test_classes_share_coils_and_lines_with_clean_majority(sample) -> None:
    table = find_dataset(str(sample)).manifest
    shares = table.groupby("line")["label"].mean()
    assert len(shares) == len(LINES)
    assert shares.between(0.1, 0.5).all()
    assert 0.15 < table["label"].mean() < 0.42
    assert table.groupby("group_id")["label"].nunique().eq(2).mean() >= 0.8
    assert set(table["defect_type"].dropna()) == {name for name, _ in DEFECTS}


def test_sample_splits_keep_coils_and_have_both_classes(sample) -> None:
    table = find_dataset(str(sample)).manifest
    parts = assign_splits(table, seed=20, val_share=0.2, test_share=0.2)
    assert parts.groupby(table["group_id"]).nunique().max() == 1
    assert table.groupby(parts)["label"].nunique().to_dict() == {"train": 2, "val": 2, "test": 2}


def test_brightness_and_contrast_alone_do_not_tell_a_defect(sample) -> None:
    from sklearn.metrics import roc_auc_score

    table = find_dataset(str(sample)).manifest
    pixels = np.stack([np.asarray(Image.open(sample / path)) for path in table["path"]]).astype(float)
    sizes = [(sample / path).stat().st_size for path in table["path"]]
    for values in (pixels.mean((1, 2)), pixels.std((1, 2)), np.ptp(pixels, axis=(1, 2)), sizes):
        auc = roc_auc_score(table["label"], values)
        assert max(auc, 1 - auc) < 0.85


@pytest.mark.parametrize(("name", "draw"), DEFECTS, ids=[name for name, _ in DEFECTS])
def test_a_defect_is_marked_where_it_changes_the_surface(name, draw) -> None:
    """An inspector would agree: most of the change lies in the mask, and the mask lies on the change."""
    drawn = 0
    for seed in range(30):
        defect = draw(np.random.default_rng(seed), (256, 256), 0.03)
        if defect.mask.sum() < 80:
            continue
        drawn += 1
        change = np.abs(defect.change)
        assert change[defect.mask].sum() > 0.7 * change.sum()
        assert change[defect.mask].mean() > 0.04
    assert drawn >= 20


def test_clean_marks_stay_fainter_than_defects() -> None:
    def strength(draw) -> float:
        """Median over draws of the strongest change."""
        return float(np.median([np.abs(draw(np.random.default_rng(seed))).max() for seed in range(15)]))

    marks = [strength(lambda rng, mark=mark: mark(rng, (128, 128))) for mark in MARKS]
    defects = [strength(lambda rng, draw=draw: draw(rng, (128, 128), 0.03).change) for _, draw in DEFECTS]
    assert max(marks) < min(defects)


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ({"coils": 1}, "coils is 1; expected 2"),
        ({"photographs_per_coil": 0}, "photographs per coil is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"patch": 16}, "patch size is 16"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, numbers, told) -> None:
    with pytest.raises(SampleInvalid, match=told):
        make_sample(str(tmp_path / "out"), **numbers)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(sample) -> None:
    with pytest.raises(OutputExists, match="not empty"):
        make_sample(str(sample), coils=2)


def test_progress_counts_the_coils(tmp_path) -> None:
    seen: list[tuple[int, int]] = []
    make_sample(
        str(tmp_path / "out"),
        coils=2,
        photographs_per_coil=1,
        patch=32,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


def test_a_sample_can_be_made_in_a_bucket(monkeypatch) -> None:
    import boto3
    from moto import mock_aws

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="mill")
        summary = make_sample("s3://mill/strips", coils=2, photographs_per_coil=1, patch=32)
        dataset = find_dataset("s3://mill/strips")
        assert len(dataset.manifest) == summary.patches
        assert dataset.storage.exists(dataset.manifest["path"].iloc[0])
        again = ingest_masks("s3://mill/strips/photographs", "s3://mill/strips/masks", "s3://mill/again", rule=None)
        assert again.sources <= 2
