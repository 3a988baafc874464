from __future__ import annotations

from pathlib import Path

import pytest

from steel_training.ingest import ingest_yolo
from steel_training.ingest.annotations import AnnotationInvalid, AnnotationMissing
from steel_training.ingest.defect_classes import ClassUndefined
from steel_training.ingest.yolo import read_class_names
from tests.unit.ingest.conftest import SMALL

BOX = "0 0.375 0.6666667 0.25 0.3333333"
POLYGON = "0 0.25 0.5 0.5 0.5 0.5 0.8333333 0.25 0.8333333"


def ingest(folder: Path, line: str, classes: str = "0=pit", **options):
    options = {"rule": SMALL, **options}
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "a.txt").write_text(line)
    (folder / "labels" / "b.txt").write_text("")
    (folder / "labels" / "classes.txt").write_text("pit\n")
    return ingest_yolo(str(folder / "images"), str(folder / "labels"), str(folder / "out"), classes=classes, **options)


@pytest.mark.parametrize("line", [BOX, POLYGON, f"\n{BOX}\n\n"])
def test_boxes_and_polygons_become_patches(plates, annotated, line) -> None:
    record = ingest(plates, line).record
    annotated(plates / "out")
    assert record.as_dict()["images"]["clean_by_annotation"] == 1


def test_a_missing_file_is_not_an_empty_one(plates) -> None:
    ingest(plates, BOX)
    (plates / "labels" / "b.txt").unlink()
    with pytest.raises(AnnotationMissing, match="1 of 2 images have no label file"):
        ingest_yolo(str(plates / "images"), str(plates / "labels"), str(plates / "out2"), classes="0=pit", rule=SMALL)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 0.5 0.5 0.1 0.1 0.93", "line 1: it has 6 numbers: the last seems to be a confidence"),
        ("0 0.5 0.5 0.1", "it has 4 numbers"),
        ("1 0.5 0.5 0.1 0.1", "class 1 is not in 0=pit, which names 0"),
        ("0.5 0.5 0.5 0.1 0.1", "does not begin with the number of a class"),
        ("0 320 240 64 48", "shares of the image's sides, not pixels"),
        ("0 0.95 0.5 0.4 0.1", "is outside the image of 64×48"),
        ("0 nan 0.5 0.1 0.1", "no finite numbers"),
        ("pit 0.5 0.5 0.1 0.1", "holds more than numbers"),
    ],
)
def test_broken_lines_are_named(plates, line, told) -> None:
    with pytest.raises(AnnotationInvalid, match=told):
        ingest(plates, line)
    assert not (plates / "out").exists()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("data.yaml", "path: x\nnames: [pit, scratch]\n", {0: "pit", 1: "scratch"}),
        ("data.yml", "names:\n  0: pit\n  5: scratch\n", {0: "pit", 5: "scratch"}),
        ("classes.txt", "pit\nscratch\n", {0: "pit", 1: "scratch"}),
    ],
)
def test_class_names_are_read_from_files(tmp_path, name, text, expected) -> None:
    (tmp_path / name).write_text(text)
    assert read_class_names(str(tmp_path / name)) == expected


@pytest.mark.parametrize("text", ["names: 3", "nc: 2", ": : :", "names: [", "- a"])
def test_a_data_file_without_names_is_refused(tmp_path, text) -> None:
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(ClassUndefined, match="has no readable 'names'"):
        read_class_names(str(tmp_path / "data.yaml"))


@pytest.mark.parametrize("classes", ["no/such.yaml", "0=", "x=pit"])
def test_other_class_names_are_refused(classes) -> None:
    with pytest.raises(ClassUndefined, match="--classes"):
        read_class_names(classes)
