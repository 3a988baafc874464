from __future__ import annotations

from pathlib import Path

import pytest

from steel_training.ingest import ingest_yolo
from steel_training.ingest.annotations import AnnotationInvalid, AnnotationMissing
from steel_training.ingest.defect_classes import ClassUndefined
from steel_training.ingest.yolo import Classes, read_classes
from tests.unit.ingest.conftest import SMALL

BOX = "0 0.375 0.6666667 0.25 0.3333333"
POLYGON = "0 0.25 0.5 0.5 0.5 0.5 0.8333333 0.25 0.8333333"


def ingest(folder: Path, line: str, classes: str = "0=pit", out: str = "out", **options):
    options = {"rule": SMALL, **options}
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "a.txt").write_text(line)
    (folder / "labels" / "b.txt").write_text("")
    (folder / "labels" / "classes.txt").write_text("pit\n")
    return ingest_yolo(str(folder / "images"), str(folder / "labels"), str(folder / out), classes=classes, **options)


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
        (f"{BOX} 0.4 0.7 2 0.45 0.6 1", "is a box with 2 key points of x, y and visibility; .* --task pose"),
        (
            f"{BOX} 0.4 0.7 1",
            "it has 8 numbers, and seems to be a box with 1 key point of x, y and visibility. .* --task pose",
        ),
        ("0 0.1 0.1 0.5 0.1 0.5 0.5 0.93", "it has 8 numbers; a box has 5, a polygon 7 or more"),
    ],
)
def test_broken_lines_are_named(plates, line, told) -> None:
    with pytest.raises(AnnotationInvalid, match=told):
        ingest(plates, line)
    assert not (plates / "out").exists()


TWO_NUMBERS = ["0.4 0.7", "0.4 0.7 0.45 0.6 0.3 0.55", "0.4 0.7 0 0"]
POINTS = [*TWO_NUMBERS, "0.4 0.7 1 0.45 0.6 0", "0.4 0.7 2", "0.4 0.7 2 0 0 0"]


@pytest.mark.parametrize("points", [*TWO_NUMBERS, "0.4 0.7 1 0.45 0.6 0"])
def test_key_points_that_could_be_corners_are_refused(plates, points) -> None:
    """Read as a polygon, the middle of the box and its size would be corners, and the defect would lie somewhere else."""
    with pytest.raises(
        AnnotationInvalid, match=r"1 line has .* could be a polygon or a box with key points .* --task segment"
    ):
        ingest(plates, f"{BOX} {points}\n{BOX}")
    assert not (plates / "out").exists()


@pytest.mark.parametrize("points", POINTS)
def test_of_a_box_with_key_points_the_box_is_taken(plates, annotated, points) -> None:
    ingest(plates, f"{BOX} {points}", task="pose")
    annotated(plates / "out")


@pytest.mark.parametrize("points", POINTS)
def test_a_data_file_says_that_there_are_key_points(plates, annotated, points) -> None:
    each = 3 if len(points.split()) % 3 == 0 and points not in TWO_NUMBERS else 2
    shape = [len(points.split()) // each, each]
    (plates / "data.yaml").write_text(f"names: [pit]\nkpt_shape: {shape}\n")
    ingest(plates, f"{BOX} {points}\n{BOX}", classes=str(plates / "data.yaml"))
    annotated(plates / "out")
    told = rf"it has 9 numbers; a box with 7 key points of {each} numbers \(kpt_shape\) has {5 + 7 * each}"
    (plates / "data.yaml").write_text(f"names: [pit]\nkpt_shape: [7, {each}]\n")
    with pytest.raises(AnnotationInvalid, match=told):
        ingest(plates, POLYGON, classes=str(plates / "data.yaml"), out="out2")


def test_polygons_are_taken_where_one_line_can_be_nothing_else(plates) -> None:
    """The corners of the second polygon could be a box and two key points in it."""
    inside = "0 0.375 0.6 0.25 0.33 0.3 0.6 0.45 0.7"
    with pytest.raises(AnnotationInvalid, match="1 line has more than five numbers, always 9"):
        ingest(plates, inside)
    ingest(plates, f"{POLYGON}\n{inside}", out="out2")
    ingest(plates, inside, task="segment", out="out3")


@pytest.mark.parametrize("shape", ["5", "[4]", "[4, 1]", "[0, 2]", "[x, 2]"])
def test_a_wrong_shape_of_key_points_is_refused(tmp_path, shape) -> None:
    (tmp_path / "data.yaml").write_text(f"names: [pit]\nkpt_shape: {shape}\n")
    with pytest.raises(ClassUndefined, match="kpt_shape"):
        read_classes(str(tmp_path / "data.yaml"))


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
    assert read_classes(str(tmp_path / name)) == Classes(expected)


@pytest.mark.parametrize("text", ["names: 3", "nc: 2", ": : :", "names: [", "- a"])
def test_a_data_file_without_names_is_refused(tmp_path, text) -> None:
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(ClassUndefined, match="has no readable 'names'"):
        read_classes(str(tmp_path / "data.yaml"))


@pytest.mark.parametrize("classes", ["no/such.yaml", "0=", "x=pit"])
def test_other_class_names_are_refused(classes) -> None:
    with pytest.raises(ClassUndefined, match="--classes"):
        read_classes(classes)
