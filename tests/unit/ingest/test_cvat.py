from __future__ import annotations

from pathlib import Path

import pytest

from steel_training.ingest import ingest_cvat
from steel_training.ingest.annotations import AnnotationInvalid
from tests.unit.ingest.conftest import SMALL

HEAD = '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>'


def ingest(folder: Path, shapes: str, **options):
    options = {"rule": SMALL, **options}
    (folder / "annotations.xml").write_text(
        f'{HEAD}<image id="0" name="plates/a.png" width="64" height="48">{shapes}</image>'
        '<image id="1" name="plates/b.png" width="64" height="48"></image></annotations>'
    )
    return ingest_cvat(str(folder / "images"), str(folder / "annotations.xml"), str(folder / "out"), **options)


@pytest.mark.parametrize(
    "shape",
    [
        '<box label="pit" source="manual" occluded="0" xtl="16.00" ytl="24.00" xbr="32.00" ybr="40.00" z_order="0"></box>',
        '<polygon label="pit" points="16.0,24.0;32.0,24.0;32.0,40.0;16.0,40.0" z_order="0"></polygon>',
        '<mask label="pit" rle="0, 256" left="16" top="24" width="16" height="16" z_order="0"></mask>',
    ],
)
def test_every_shape_becomes_the_same_patches(plates, annotated, shape) -> None:
    record = ingest(plates, shape).record
    annotated(plates / "out")
    assert record.as_dict()["images"]["clean_by_annotation"] == 1


def test_an_ellipse_covers_its_area(plates) -> None:
    assert ingest(plates, '<ellipse label="pit" cx="32" cy="24" rx="16" ry="16"/>').defective == 12


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ('<polyline label="pit" points="1,1;5,5"/>', "shape 1: 'pit' is a polyline, which has no area.* Draw its area"),
        ('<points label="pit" points="1,1"/>', "'pit' is a points, which has no area.* Draw its area, or remove it"),
        ('<tag label="pit"/>', "'pit' is a tag of the whole image, .*'ingest folders'"),
        ('<box label="pit" xtl="1" ytl="1" xbr="5" ybr="5" rotation="30"/>', "rotated box. Draw it as a polygon"),
        ('<box label="pit" xtl="1" ytl="1" xbr="5"/>', "None is not a number"),
        ('<box xtl="1" ytl="1" xbr="5" ybr="5"/>', "<box> has no label"),
        ('<polygon label="pit" points="1,1;5,5;7"/>', "5 numbers; expected pairs"),
        ('<mask label="pit" rle="3, 4" left="1" top="1" width="5" height="5"/>', "add up to 7 pixels; expected 25"),
        ('<mask label="pit" rle="0, 99" left="1" top="1" width="99" height="1"/>', "a mask of 99×1 pixels"),
        ('<blob label="pit"/>', "<blob> is unknown"),
    ],
)
def test_broken_shapes_are_named(plates, shape, told) -> None:
    with pytest.raises(AnnotationInvalid, match=told):
        ingest(plates, shape)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f'{HEAD}<track id="0"/></annotations>', "tracks of a video.*CVAT for images 1.1"),
        ("<annotation/>", "begins with <annotation>"),
        (f'{HEAD}<image name="a.png"/><image name="a.png"/></annotations>', "lists a.png more than once"),
    ],
)
def test_other_files_are_refused(plates, text, told) -> None:
    (plates / "annotations.xml").write_text(text)
    with pytest.raises(AnnotationInvalid, match=told):
        ingest_cvat(str(plates / "images"), str(plates / "annotations.xml"), str(plates / "out"))
