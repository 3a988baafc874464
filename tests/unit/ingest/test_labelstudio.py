from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from steel_training.ingest import ingest_labelstudio
from steel_training.ingest.annotations import AnnotationInvalid, AnnotationMissing
from tests.unit.ingest.conftest import SMALL
from tests.unit.ingest.test_run_lengths import encode_brush

RECTANGLE = {"x": 25, "y": 50, "width": 25, "height": 100 / 3, "rotation": 0, "rectanglelabels": ["pit"]}
POLYGON = {"points": [[25, 50], [50, 50], [50, 250 / 3], [25, 250 / 3]], "polygonlabels": ["pit"]}


def brush() -> dict:
    mask = np.zeros((48, 64), bool)
    mask[24:40, 16:32] = True
    return {"format": "rle", "rle": encode_brush(mask), "brushlabels": ["pit"]}


def result(value: dict, kind: str = "rectanglelabels") -> dict:
    return {"type": kind, "original_width": 64, "original_height": 48, "value": value}


def task(image: str, *annotations: list[dict], **more: object) -> dict:
    return {"data": {"image": image}, "annotations": [{"result": one, **more} for one in annotations]}


def ingest(folder: Path, *tasks: dict, **options):
    options = {"rule": SMALL, **options}
    (folder / "export.json").write_text(json.dumps(tasks))
    return ingest_labelstudio(str(folder / "images"), str(folder / "export.json"), str(folder / "out"), **options)


B = task("/data/upload/1/12345678-b.png", [])


@pytest.mark.parametrize(
    "address",
    ["/data/upload/1/0a1b2c3d-a.png", "/data/local-files/?d=plates%2Fa.png", "s3://bucket/plates/a.png", "a.png"],
)
@pytest.mark.parametrize("value", [RECTANGLE, POLYGON, brush()])
def test_every_region_becomes_the_same_patches(plates, annotated, address, value) -> None:
    record = ingest(plates, task(address, [result(value)]), B).record
    annotated(plates / "out")
    assert record.as_dict()["images"]["clean_by_annotation"] == 1


@pytest.mark.parametrize("unfinished", [task("b.png"), task("b.png", [], was_cancelled=True)])
def test_a_task_without_annotation_is_not_clean(plates, unfinished) -> None:
    with pytest.raises(AnnotationMissing, match=r"1 of 2 images have no annotation .*: b\."):
        ingest(plates, task("a.png", [result(RECTANGLE)]), unfinished)


def test_one_of_several_annotations_must_be_ground_truth(plates) -> None:
    two = task("a.png", [result(RECTANGLE)], [])
    with pytest.raises(AnnotationInvalid, match=r"a\.png has 2 annotations; expected one. Mark one as ground truth"):
        ingest(plates, two, B)
    two["annotations"][0]["ground_truth"] = True
    assert ingest(plates, two, B).defective == 4


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (
            {**RECTANGLE, "rectanglelabels": ["pit", "scratch"]},
            "region 1: it is of type rectanglelabels and has 2 labels",
        ),
        ({**RECTANGLE, "rotation": 10}, "'pit' is a rotated rectangle. Draw it as a polygon"),
        ({**RECTANGLE, "width": 90}, "is outside the image"),
        ({"format": "rle", "rle": [1, 2], "brushlabels": ["pit"]}, "brush mask ends before"),
        ({"format": "rle", "rle": [0] * 30, "brushlabels": ["pit"]}, "has 0 values; expected 4 for each of the 64×48"),
        ({"format": "png", "brushlabels": ["pit"]}, "without run lengths"),
        ({"rectanglelabels": ["pit"]}, "has no x and y"),
    ],
)
def test_broken_regions_are_named(plates, value, told) -> None:
    with pytest.raises(AnnotationInvalid, match=told):
        ingest(plates, task("a.png", [result(value)]), B)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("choices", {"choices": ["pit"]}, r"'pit' is a tag of the whole image \(choices\).*'ingest folders'"),
        ("textarea", {"text": ["a scratch?"]}, "'textarea' is a tag of the whole image"),
        (
            "keypointlabels",
            {"x": 1, "y": 1, "keypointlabels": ["pit"]},
            "'pit' is a keypoint, which has no area.* Draw",
        ),
        ("keypoint", {"x": 1, "y": 1}, "'keypoint' is a keypoint, which has no area"),
        ("rectangle", {"x": 1, "y": 1, "width": 9, "height": 9}, "has 0 labels.* Label it in Label Studio"),
    ],
)
def test_what_has_no_area_is_named_with_what_to_do(plates, kind, value, told) -> None:
    with pytest.raises(AnnotationInvalid, match=told):
        ingest(plates, task("a.png", [result(value, kind)]), B)


def test_other_exports_are_refused(plates) -> None:
    with pytest.raises(AnnotationInvalid, match=r"is not a JSON export of Label Studio.*0\.annotations"):
        ingest(plates, {"data": {"image": "a.png"}, "image": "a.png", "label": []})
    with pytest.raises(AnnotationInvalid, match="task 1 names no image file"):
        ingest(plates, {"data": {"text": "hello"}, "annotations": []}, B, task("a.png", []))
