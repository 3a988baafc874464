from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steel_training.ingest import ingest_labelme
from steel_training.ingest.annotations import AnnotationInvalid
from steel_training.ingest.tiling import SizesDiffer
from tests.unit.ingest.conftest import DEFECT, SMALL

LEFT, TOP, RIGHT, BOTTOM = DEFECT
CORNERS = [[LEFT, TOP], [RIGHT, TOP], [RIGHT, BOTTOM], [LEFT, BOTTOM]]


def png(height: int, width: int) -> str:
    file = io.BytesIO()
    Image.fromarray(np.full((height, width), 255, np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def ingest(folder: Path, *shapes: dict, **options):
    options = {"rule": SMALL, **options}
    size = {"imageHeight": 48, "imageWidth": 64, "version": "5.2.1", "imageData": None}
    for name, found in (("a", shapes), ("b", ())):
        file = {**size, "shapes": list(found), "imagePath": f"..\\images\\{name}.png"}
        (folder / "images" / f"{name}.json").write_text(json.dumps(file))
    return ingest_labelme(str(folder / "images"), str(folder / "images"), str(folder / "out"), **options)


@pytest.mark.parametrize(
    "shape",
    [
        {"points": CORNERS, "shape_type": "polygon"},
        {"points": CORNERS},
        {"points": [CORNERS[2], CORNERS[0]], "shape_type": "rectangle"},
        {"points": CORNERS, "shape_type": "rectangle"},
        {"points": [CORNERS[0], [31, 39]], "shape_type": "mask", "mask": png(16, 16)},
    ],
)
def test_every_shape_becomes_the_same_patches(plates, annotated, shape) -> None:
    record = ingest(plates, {"label": "pit", **shape}).record
    annotated(plates / "out")
    assert record.as_dict()["images"]["clean_by_annotation"] == 1


def test_a_circle_covers_its_area(plates) -> None:
    summary = ingest(plates, {"label": "pit", "points": [[32, 24], [32, 40]], "shape_type": "circle"})
    # Of a circle of radius 16 in squares of 8 pixels, the four corners of the 4×4 are less than half inside.
    assert summary.defective == 12


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ({"points": [[1, 1], [5, 5]], "shape_type": "line"}, "shape 1: 'pit' is a line, which has no area"),
        ({"points": [[1, 1]], "shape_type": "point"}, "'pit' is a point, which has no area.* Draw its area"),
        (
            {"points": [[1, 1], [5, 1], [5, 5]], "shape_type": "rotation"},
            "'pit' is a rotated box. Draw it as a polygon",
        ),
        ({"points": [[1, 1]], "shape_type": "rectangle"}, "a rectangle of 1 points; expected 2"),
        ({"points": [[1, 1], [5, 5]]}, "2 different points"),
        ({"points": [[1, 1], [90, 5], [7, 7]]}, r"\(90, 5\) is outside"),
        ({"points": [[1, 1], [5, 5]], "shape_type": "mask", "mask": "no PNG"}, "not a PNG image in base64"),
        ({"points": [[60, 1], [5, 5]], "shape_type": "mask", "mask": png(20, 64)}, "are not inside the image"),
        ({"points": [[1, 1, 1]]}, r"shapes\.0\.points\.0"),
    ],
)
def test_broken_shapes_are_named(plates, shape, told) -> None:
    with pytest.raises(AnnotationInvalid, match=told):
        ingest(plates, {"label": "pit", **shape})


def test_another_size_is_refused(plates) -> None:
    ingest(plates)
    file = plates / "images" / "a.json"
    file.write_text(file.read_text().replace("64", "640"))
    with pytest.raises(SizesDiffer, match="says 640×48 pixels, the image is 64×48"):
        ingest_labelme(str(plates / "images"), str(plates / "images"), str(plates / "out2"), rule=SMALL)
