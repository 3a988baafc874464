"""CVAT for images 1.1: source images and one XML file with boxes, polygons, ellipses and masks."""

from __future__ import annotations

import math
from functools import partial
from typing import Unpack
from xml.etree.ElementTree import Element

from steel_training.ingest import regions
from steel_training.ingest.annotated_images import ingest_annotated
from steel_training.ingest.annotations import Annotation, AnnotationInvalid, Annotations, check_size
from steel_training.ingest.annotations_file import image_name, read_annotations_file
from steel_training.ingest.options import IngestOptions
from steel_training.ingest.problems import first_ten
from steel_training.ingest.regions import Region, RegionInvalid, read_each
from steel_training.ingest.run_lengths import decode_runs
from steel_training.ingest.source_images import SourceImage, image_files
from steel_training.ingest.tiling import IngestSummary
from steel_training.ingest.xml_files import parse_xml

# One file holds a whole task.
_MAX_BYTES = 1 << 30
_WITHOUT_AREA = frozenset({"polyline", "points", "skeleton", "cuboid"})


def ingest_cvat(images: str, annotations: str, out: str, **options: Unpack[IngestOptions]) -> IngestSummary:
    """Cut source images with annotations of a CVAT task into a dataset, or use whole images as patches.

    CVAT lists all images of a task, annotated or not; one without a shape is clean. Export finished tasks only.

    Args:
        images: folder or S3 prefix of source images.
        annotations: XML file or `s3://` URI ("CVAT for images 1.1"), or a folder with one such file.
        out: folder or S3 prefix of the new dataset; must be empty.
        options: see `IngestOptions`.

    Raises:
        NoSourceImages: no image file in `images`.
        AnnotationInvalid: the file is not of that form, has a shape outside its image, or one without area (points, polyline, tag).
        UsageError: see `ingest_annotated`.
    """
    address, data = read_annotations_file(annotations, ".xml")
    found = _annotations(parse_xml(data, address, max_bytes=_MAX_BYTES), address)
    return ingest_annotated(
        image_files(images), Annotations("cvat", ("entry", "entries"), address, found), out, **options
    )


def _annotations(root: Element, address: str) -> dict[str, Annotation]:
    if root.tag != "annotations" or root.find("track") is not None:
        what = "holds tracks of a video" if root.tag == "annotations" else f"begins with <{root.tag}>"
        raise AnnotationInvalid(f"{address} {what}; expected <annotations>. Export the task as 'CVAT for images 1.1'.")
    found: dict[str, Annotation] = {}
    twice = []
    for image in root.findall("image"):
        path = image.get("name", "")
        if image_name(path) in found:
            twice.append(path)
        found[image_name(path)] = Annotation(path, partial(_regions, image, address))
    if twice:
        raise AnnotationInvalid(f"{address} lists {first_ten(twice)} more than once. Export each task once.")
    return found


def _regions(image: Element, address: str, source: SourceImage) -> list[Region]:
    shape = source.pixels.shape[:2]
    where = f"{address}, {image.get('name')}"
    check_size((_side(image.get("width")), _side(image.get("height"))), shape, where, rotated=source.rotated)
    read, invalid = read_each(list(image), lambda one: _region(one, shape), "shape")
    if invalid:
        raise AnnotationInvalid(f"{where}: {first_ten(invalid)}. Correct the shapes.")
    return read


def _region(one: Element, shape: tuple[int, ...]) -> Region:
    name = one.get("label", "").strip()
    if not name:
        raise RegionInvalid(f"<{one.tag}> has no label")
    if one.tag == "tag":
        raise regions.of_whole_image(name)
    if one.tag in _WITHOUT_AREA:
        raise regions.without_area(name, one.tag, "a box, polygon, ellipse or mask")
    if one.tag in {"box", "ellipse"} and _number(one.get("rotation", "0")) % 360:
        raise regions.rotated(name, one.tag)
    if one.tag == "box":
        left, top, right, bottom = (_number(one.get(edge)) for edge in ("xtl", "ytl", "xbr", "ybr"))
        return regions.box(name, (left, top, right, bottom), shape)
    if one.tag == "polygon":
        numbers = [_number(number) for number in one.get("points", "").replace(";", ",").split(",")]
        return regions.polygon(name, regions.pairs(numbers), shape)
    if one.tag == "ellipse":
        x, y, across, down = (_number(one.get(key)) for key in ("cx", "cy", "rx", "ry"))
        return regions.ellipse(name, (x, y), (across, down), shape)
    if one.tag == "mask":
        left, top, width, height = (int(_number(one.get(key))) for key in ("left", "top", "width", "height"))
        if not (0 < width <= shape[1] and 0 < height <= shape[0]):
            raise RegionInvalid(f"'{name}' is a mask of {width}×{height} pixels, the image has {shape[1]}×{shape[0]}")
        runs = [int(_number(run)) for run in one.get("rle", "").split(",")]
        return regions.bitmap(name, decode_runs(runs, width * height).reshape(height, width), (left, top), shape)
    raise RegionInvalid(
        f"<{one.tag}> is unknown; expected a box, polygon, ellipse or mask. Draw it as a polygon, or remove it"
    )


def _number(text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RegionInvalid(f"{text!r} is not a number")
    return number


def _side(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
