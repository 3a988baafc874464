from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steel_training.ingest import ingest_coco
from steel_training.ingest.annotations import AnnotationInvalid, AnnotationMissing, AnnotationUnmatched
from steel_training.ingest.defect_classes import ClassUndefined
from steel_training.ingest.problems import DatasetInvalid
from steel_training.ingest.tiling import SizesDiffer
from tests.unit.ingest.conftest import DEFECT, SMALL

LEFT, TOP, RIGHT, BOTTOM = DEFECT
BOX = [LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP]
POLYGON = [[LEFT, TOP, RIGHT, TOP, RIGHT, BOTTOM, LEFT, BOTTOM]]
COUNTS = [LEFT * 48 + TOP, *[16, 32] * 15, 16, (64 - RIGHT) * 48 + 48 - BOTTOM]
# Written by pycocotools 2.0 for the same mask.
COMPRESSED = "hh0`0P100000000000000000000000000000X_1"


def content(**changes: object) -> dict:
    made = {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 64, "height": 48},
            {"id": 8, "file_name": "b.png", "width": 64, "height": 48},
        ],
        "categories": [{"id": 3, "name": "pit"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": BOX, "iscrowd": 0}],
    }
    return {**made, **changes}


def annotation(**changes: object) -> list[dict]:
    return [{"id": 1, "image_id": 7, "category_id": 3, "bbox": BOX, **changes}]


def ingest(folder: Path, content: object, **options):
    options = {"rule": SMALL, **options}
    (folder / "instances.json").write_text(json.dumps(content))
    return ingest_coco(str(folder / "images"), str(folder / "instances.json"), str(folder / "out"), **options)


@pytest.mark.parametrize(
    "outline",
    [
        {},
        {"segmentation": []},
        {"segmentation": POLYGON},
        {"segmentation": [[16, 24, 24, 24, 24, 40, 16, 40], [24, 24, 32, 24, 32, 40, 24, 40]]},
        {"segmentation": {"size": [48, 64], "counts": COUNTS}, "iscrowd": 1},
        {"segmentation": {"size": [48, 64], "counts": COMPRESSED}},
    ],
)
def test_every_outline_becomes_the_same_patches(plates, annotated, outline) -> None:
    record = ingest(plates, content(annotations=annotation(**outline))).record
    annotated(plates / "out")
    assert record.as_dict()["images"]["clean_by_annotation"] == 1


def test_paths_of_another_machine_are_matched(plates, annotated) -> None:
    listed = content()
    listed["images"][0]["file_name"] = "C:\\data\\plates\\a.png"
    ingest(plates, listed)
    annotated(plates / "out")


def test_an_image_that_is_not_listed_is_not_clean(plates) -> None:
    listed = content(images=content()["images"][:1])
    with pytest.raises(AnnotationMissing, match=r"1 of 2 images have no entry .*b\..*--missing clean where no entry"):
        ingest(plates, listed)
    assert ingest(plates, listed, missing="skip").sources == 1


def test_an_entry_without_image_is_refused(plates) -> None:
    (plates / "images" / "b.png").unlink()
    with pytest.raises(AnnotationUnmatched, match=r"1 entries belong to no image: b\.png"):
        ingest(plates, content())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"annotations": annotation(category_id=4)}, "category_id 4 is not among the categories"),
        ({"annotations": annotation(image_id=9)}, "image_id 9 of annotations is not among the images"),
        ({"images": [*content()["images"], {"id": 7, "file_name": "c.png"}]}, "images of the same id"),
        ({"images": [*content()["images"], {"id": 9, "file_name": "./a.png"}]}, r"a\.png occurs more than once"),
        ({"annotations": annotation(bbox=[1, 2, 3])}, "neither a segmentation nor a bbox of 4 numbers; draw its area"),
        (
            {"annotations": annotation(bbox=None, keypoints=[5, 5, 2])},
            r"\(but keypoints\); draw its area, or remove it",
        ),
        ({"annotations": annotation(bbox=[60, 2, 30, 5])}, r"annotation 1: \(90, 7\) is outside the image of 64×48"),
        ({"annotations": annotation(bbox=[1, 2, 0, 5])}, "have no area"),
        ({"annotations": annotation(segmentation=[[1, 2, 3, 4]])}, "2 different points"),
        ({"annotations": annotation(segmentation={"size": [48, 64], "counts": [5]})}, "add up to 5 pixels"),
        ({"annotations": annotation(segmentation={"size": [64, 48], "counts": COUNTS})}, "of an image of 48×64"),
        ({"annotations": annotation(bbox=["wide"])}, r"annotations\.0\.bbox\.0"),
        ({"categories": None}, "categories"),
    ],
)
def test_what_contradicts_itself_is_refused(plates, changes, told) -> None:
    with pytest.raises(AnnotationInvalid, match=told):
        ingest(plates, content(**changes))
    assert not (plates / "out").exists()


def test_another_size_and_clean_classes_are_refused_together(plates) -> None:
    listed = content(categories=[{"id": 3, "name": "ok"}])
    listed["images"][1].update(width=48, height=64)
    with pytest.raises(DatasetInvalid, match=r"(?s)Width and height are swapped.*'ok' in 1 entries does not sound"):
        ingest(plates, listed)
    del listed["images"][1]["width"]
    with pytest.raises(ClassUndefined):
        ingest(plates, listed)
    assert ingest(plates, listed, clean_names=["ok"]).defective == 0


def test_a_swapped_size_names_the_exif_orientation(plates) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((64, 48), 90, np.uint8)).save(plates / "images" / "b.png", exif=exif)
    listed = content()
    listed["images"][1].update(width=48, height=64)
    with pytest.raises(SizesDiffer, match="EXIF orientation"):
        ingest(plates, listed)


def test_a_folder_must_hold_one_file(plates) -> None:
    for name in ("train.json", "val.json"):
        (plates / name).write_text("{}")
    with pytest.raises(AnnotationInvalid, match=r"2 \.json files: train\.json, val\.json; expected one"):
        ingest_coco(str(plates / "images"), str(plates), str(plates / "out"))
    with pytest.raises(AnnotationInvalid, match="does not exist"):
        ingest_coco(str(plates / "images"), str(plates / "no.json"), str(plates / "out"))
