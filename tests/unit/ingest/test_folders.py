from __future__ import annotations

from pathlib import Path

import pytest

from steel_training.data.dataset import find_dataset
from steel_training.ingest import ingest_folders
from steel_training.ingest.annotations import AnnotationInvalid
from steel_training.ingest.defect_classes import ClassUndefined
from steel_training.ingest.tiling import SizesDiffer


@pytest.fixture
def sorted_images(tmp_path, save, steel) -> Path:
    """A folder of images per class, as a classifier is trained on them."""
    for number, name in enumerate(("train/ok/1", "train/crazing/1", "val/crazing/2")):
        save(tmp_path / "sorted" / f"{name}.png", steel(64, 64, seed=number))
    return tmp_path / "sorted"


def ingest(root: Path, **options):
    return ingest_folders(str(root), str(root.parent / "out"), **options)


def test_the_folder_is_the_class(sorted_images) -> None:
    with pytest.raises(ClassUndefined, match=r"'ok' of 1 folders does not sound like a defect: ok \(1 images\)"):
        ingest(sorted_images)
    table = find_dataset(ingest(sorted_images, clean_names=["ok"]).dataset).manifest.set_index("source_id")
    assert table["label"].to_dict() == {"train/crazing/1": 1, "train/ok/1": 0, "val/crazing/2": 1}
    assert set(table["defect_type"].dropna()) == {"crazing"}


def test_with_names_other_folders_are_refused(sorted_images) -> None:
    with pytest.raises(ClassUndefined, match="'crazing' of 1 folders is not in --names"):
        ingest(sorted_images, names=["inclusion"], clean_names=["ok"])


def test_images_beside_the_folders_are_refused(sorted_images, save, steel) -> None:
    save(sorted_images / "train" / "x.png", steel(64, 64))
    with pytest.raises(AnnotationInvalid, match="1 in train; the other folders are crazing, ok"):
        ingest(sorted_images, clean_names=["ok"])


def test_images_of_several_sizes_are_refused(sorted_images, save, steel) -> None:
    save(sorted_images / "val" / "ok" / "x.png", steel(32, 64))
    with pytest.raises(SizesDiffer, match="whole images as patches must have one size"):
        ingest(sorted_images, clean_names=["ok"])
    assert not (sorted_images.parent / "out").exists()
