"""LabelMe: source images and one JSON file per image, with polygons, rectangles, circles and masks."""

from __future__ import annotations

import base64
import binascii
import io
import math
from typing import Unpack

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from steel_training.ingest import regions
from steel_training.ingest.annotated_images import ingest_annotated
from steel_training.ingest.annotation_files import annotation_files
from steel_training.ingest.annotations import AnnotationInvalid, Annotations, check_size
from steel_training.ingest.json_files import Form, Number, read_json
from steel_training.ingest.options import IngestOptions
from steel_training.ingest.problems import first_ten
from steel_training.ingest.regions import Region, RegionInvalid, read_each
from steel_training.ingest.source_images import SourceImage, image_files
from steel_training.ingest.tiling import IngestSummary
from steel_training.storage import open_storage

# As X-AnyLabeling and newer versions name a rotated box.
_ROTATED = frozenset({"rotation", "oriented_rectangle"})


class _Shape(Form):
    label: str
    points: list[tuple[Number, Number]]
    shape_type: str | None = "polygon"
    mask: str | None = None


class _File(Form):
    shapes: list[_Shape]
    imageHeight: int | None = None  # noqa: N815 - the file's own key
    imageWidth: int | None = None  # noqa: N815


_FILE = TypeAdapter(_File)


def ingest_labelme(images: str, annotations: str, out: str, **options: Unpack[IngestOptions]) -> IngestSummary:
    """Cut source images with LabelMe shapes into a dataset, or use whole images as patches.

    Args:
        images: folder or S3 prefix of source images.
        annotations: folder or S3 prefix of JSON files, `a.json` for the image `a.jpg`; may be the folder of images.
        out: folder or S3 prefix of the new dataset; must be empty.
        options: see `IngestOptions`.

    Raises:
        NoSourceImages: no image file in `images`.
        AnnotationInvalid: a JSON file is not LabelMe's, has a shape outside its image, or one without area (point, line).
        UsageError: see `ingest_annotated`.
    """
    found = annotation_files(open_storage(annotations), ".json", _regions)
    return ingest_annotated(
        image_files(images), Annotations("labelme", ("JSON file", "JSON files"), annotations, found), out, **options
    )


def _regions(data: bytes, source: SourceImage, address: str) -> list[Region]:
    file = read_json(data, _FILE, address, expected="a LabelMe file with shapes")
    shape = source.pixels.shape[:2]
    check_size((file.imageWidth, file.imageHeight), shape, address, rotated=source.rotated)
    read, invalid = read_each(file.shapes, lambda one: _region(one, shape), "shape")
    if invalid:
        raise AnnotationInvalid(f"{address}: {first_ten(invalid)}. Correct the shapes.")
    return read


def _region(one: _Shape, shape: tuple[int, ...]) -> Region:
    name, points, kind = one.label.strip(), one.points, one.shape_type or "polygon"
    if kind == "polygon":
        return regions.polygon(name, points, shape)
    if kind in _ROTATED:
        raise regions.rotated(name, "box")
    if kind not in {"rectangle", "circle", "mask"}:
        raise regions.without_area(name, kind, "a polygon, rectangle, circle or mask")
    if len(points) < 2 or (kind != "rectangle" and len(points) != 2):
        raise RegionInvalid(f"'{name}' is a {kind} of {len(points)} points; expected 2")
    if kind == "circle":
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        return regions.ellipse(name, (x, y), (radius, radius), shape)
    columns, rows = [x for x, _ in points], [y for _, y in points]
    if kind == "mask":
        return regions.bitmap(name, _mask(one.mask or ""), (round(min(columns)), round(min(rows))), shape)
    return regions.box(name, (min(columns), min(rows), max(columns), max(rows)), shape)


def _mask(text: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=("PNG",)) as image:
            return np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        raise RegionInvalid("its mask is not a PNG image in base64") from None
