from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steel_training.data.dataset import find_dataset
from steel_training.errors import UsageError
from steel_training.ingest import ingest_mvtec
from steel_training.ingest.annotations import AnnotationInvalid
from steel_training.ingest.defect_classes import ClassUndefined
from steel_training.ingest.masks import MaskInvalid, MaskMissing, MaskUnmatched
from tests.unit.ingest.conftest import SMALL


@pytest.fixture
def category(tmp_path, save, steel) -> Path:
    root = tmp_path / "plate"
    for number, name in enumerate(("train/good/000", "test/good/000", "test/pit/000", "test/scratch/000")):
        save(root / f"{name}.png", steel(64, 64, seed=number))
    for kind in ("pit", "scratch"):
        mask = np.zeros((64, 64), np.uint8)
        mask[:32, :32] = 255
        save(root / "ground_truth" / kind / "000_mask.png", mask)
    return root


def ingest(root: Path, **options):
    options = {"rule": SMALL, **options}
    return ingest_mvtec(str(root), str(root.parent / "out"), **options)


def test_good_is_clean_and_folders_name_defects(category) -> None:
    summary = ingest(category)
    table = find_dataset(summary.dataset).manifest
    assert table.groupby("source_id")["label"].sum().to_dict() == {
        "test/good/000": 0,
        "test/pit/000": 16,
        "test/scratch/000": 16,
        "train/good/000": 0,
    }
    assert set(table["defect_type"].dropna()) == {"pit", "scratch"}


def test_a_defect_without_mask_is_never_clean(category) -> None:
    (category / "ground_truth" / "pit" / "000_mask.png").unlink()
    with pytest.raises(MaskMissing, match=r"1 images of defects have no mask .*test/pit/000.*--missing skip"):
        ingest(category)
    with pytest.raises(MaskMissing):
        ingest(category, missing="clean")
    assert ingest(category, missing="skip").sources == 3


def test_masks_that_fit_nothing_are_refused(category, save) -> None:
    save(category / "ground_truth" / "pit" / "007_mask.png", np.zeros((64, 64), np.uint8))
    with pytest.raises(MaskUnmatched, match="ground_truth/pit/007_mask"):
        ingest(category)


@pytest.mark.parametrize(("values", "told"), [([], "marks no pixel"), ([7, 255], "holds the values 7, 255")])
def test_a_mask_must_mark_one_value(category, save, values, told) -> None:
    mask = np.zeros((64, 64), np.uint8)
    for row, value in enumerate(values):
        mask[row] = value
    save(category / "ground_truth" / "pit" / "000_mask.png", mask)
    with pytest.raises(MaskInvalid, match=told):
        ingest(category)


def test_other_layouts_are_named(category) -> None:
    with pytest.raises(AnnotationInvalid, match=r"outside train/FOLDER.*Name one category: .*plate"):
        ingest_mvtec(str(category.parent), str(category.parent / "out"))


def test_a_folder_of_another_clean_name_must_be_explained(category) -> None:
    (category / "train" / "good").rename(category / "train" / "ok")
    with pytest.raises(UsageError, match=r"'ok' of 1 folders does not sound like a defect.*--clean-names good,ok "):
        ingest(category, missing="skip")
    with pytest.raises(ClassUndefined, match="'scratch'"):
        ingest(category, names=["pit"], clean_names=["good", "ok"])
    assert ingest(category, clean_names=["good", "ok"]).sources == 4
