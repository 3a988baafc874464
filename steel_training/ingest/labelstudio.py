"""Label Studio: source images and its JSON export, with rectangles, polygons, ellipses and brush masks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import TypeAdapter

from steel_training.ingest import regions
from steel_training.ingest.annotated_images import ingest_annotated
from steel_training.ingest.annotations import Annotation, AnnotationInvalid, Annotations, check_size
from steel_training.ingest.annotations_file import image_name, read_annotations_file
from steel_training.ingest.json_files import Form, Number, read_json
from steel_training.ingest.options import IngestOptions
from steel_training.ingest.problems import Problems, first_ten
from steel_training.ingest.regions import Region, RegionInvalid, read_each
from steel_training.ingest.run_lengths import decode_brush
from steel_training.ingest.source_images import SUFFIXES, ImageFiles, SourceImage, composed, image_files
from steel_training.ingest.tiling import IngestSummary

# Types of results that are not about a part of the image.
_OF_WHOLE_IMAGES = frozenset({"choices", "taxonomy", "rating", "number", "textarea", "labels"})
# Uploaded files get a prefix of eight hexadecimal digits.
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")


class _Value(Form):
    x: Number | None = None
    y: Number | None = None
    width: Number | None = None
    height: Number | None = None
    radiusX: Number | None = None  # noqa: N815 - the file's own keys
    radiusY: Number | None = None  # noqa: N815
    rotation: Number = 0.0
    points: tuple[tuple[Number, Number], ...] = ()
    format: str | None = None
    rle: list[int] | None = None
    rectanglelabels: list[str] | None = None
    polygonlabels: list[str] | None = None
    ellipselabels: list[str] | None = None
    brushlabels: list[str] | None = None
    keypointlabels: Any = None
    choices: Any = None


class _Result(Form):
    type: str
    value: _Value
    original_width: int | None = None
    original_height: int | None = None


class _Annotation(Form):
    result: list[_Result]
    was_cancelled: bool = False
    ground_truth: bool = False


class _Task(Form):
    data: dict[str, Any]
    annotations: list[_Annotation]
    file_upload: str | None = None


_FILE = TypeAdapter(list[_Task])


def ingest_labelstudio(images: str, annotations: str, out: str, **options: Unpack[IngestOptions]) -> IngestSummary:
    """Cut source images with annotations of Label Studio into a dataset, or use whole images as patches.

    A task without annotation, or with a skipped one, is not annotated: `missing` decides about its image. An annotation without a
    region says that the image is clean. Predictions are not read.

    Args:
        images: folder or S3 prefix of source images.
        annotations: JSON export (not JSON-MIN) or `s3://` URI, or a folder with one such file.
        out: folder or S3 prefix of the new dataset; must be empty.
        options: see `IngestOptions`.

    Raises:
        NoSourceImages: no image file in `images`.
        AnnotationInvalid: the file is not such an export, has a region outside its image or without area, or several annotations
            of one image.
        UsageError: see `ingest_annotated`.
    """
    address, data = read_annotations_file(annotations, ".json")
    tasks = read_json(
        data, _FILE, address, expected="a JSON export of Label Studio, a list of tasks with data and annotations"
    )
    sources, problems = image_files(images), Problems()
    found = _annotations(tasks, sources, address, problems)
    return ingest_annotated(
        sources,
        Annotations("labelstudio", ("annotation", "annotations"), address, found),
        out,
        problems=problems,
        **options,
    )


def _annotations(
    tasks: Sequence[_Task], sources: ImageFiles, address: str, problems: Problems
) -> dict[str, Annotation]:
    files = {composed(name).rpartition("/")[2] for name in sources}
    found: dict[str, Annotation] = {}
    for number, task in enumerate(tasks, start=1):
        path = _path(task)
        if path is None:
            problems.add(AnnotationInvalid(f"{address}, task {number} names no image file in its data."))
            continue
        valid = [one for one in task.annotations if not one.was_cancelled]
        valid = [one for one in valid if one.ground_truth] or valid
        if len(valid) > 1:
            problems.add(
                AnnotationInvalid(
                    f"{address}, {path} has {len(valid)} annotations; expected one. Mark one as ground truth, or remove the others."
                )
            )
        name = _matching(image_name(path), files)
        if name in found:
            problems.add(AnnotationInvalid(f"{address} has several tasks of {path}; expected one. Remove the others."))
        if valid:
            found[name] = Annotation(path, partial(_regions, valid[0].result, f"{address}, {path}"))
    return found


def _path(task: _Task) -> str | None:
    """Return the path of a task's image: of an upload, of local storage (`?d=…`), of a URL."""
    for value in task.data.values():
        if not isinstance(value, str):
            continue
        try:
            url = urlsplit(value.replace("\\", "/"))
        except ValueError:
            continue
        path = parse_qs(url.query).get("d", [unquote(url.path)])[0]
        if any(path.lower().endswith(suffix) for suffix in SUFFIXES):
            return path.lstrip("/")
    return task.file_upload


def _matching(name: str, files: set[str]) -> str:
    """Return a name without the prefix of an upload, where only that is the name of a file."""
    folder, slash, file = name.rpartition("/")
    plain = _UPLOADED.sub("", file)
    return folder + slash + (plain if file not in files and plain in files else file)


def _regions(results: Sequence[_Result], where: str, source: SourceImage) -> list[Region]:
    shape = source.pixels.shape[:2]
    for result in results:
        check_size((result.original_width, result.original_height), shape, where, rotated=source.rotated)
    read, invalid = read_each(results, lambda one: _region(one, shape), "region")
    if invalid:
        raise AnnotationInvalid(f"{where}: {first_ten(invalid)}. Correct the regions.")
    return read


def _region(result: _Result, shape: tuple[int, ...]) -> Region:
    value, (height, width) = result.value, shape
    labels = value.rectanglelabels or value.polygonlabels or value.ellipselabels or value.brushlabels or []
    if not labels and result.type in _OF_WHOLE_IMAGES:
        raise regions.of_whole_image(_first(value.choices) or result.type, result.type)
    if not labels and result.type.startswith("keypoint"):
        raise regions.without_area(
            _first(value.keypointlabels) or result.type, "keypoint", "a rectangle, polygon, ellipse or brush"
        )
    if len(labels) != 1:
        raise RegionInvalid(
            f"it is of type {result.type} and has {len(labels)} labels; expected one, of a rectangle, polygon, ellipse or brush. Label it in "
            "Label Studio with one class, or remove it"
        )
    name = labels[0].strip()
    if value.rotation % 360:
        raise regions.rotated(name, result.type.removesuffix("labels"))
    if value.brushlabels:
        if value.format != "rle" or value.rle is None:
            raise RegionInvalid(f"'{name}' is a brush mask without run lengths (format 'rle')")
        return regions.bitmap(name, decode_brush(value.rle, shape), (0, 0), shape)
    if value.polygonlabels:
        return regions.polygon(name, [(x / 100 * width, y / 100 * height) for x, y in value.points], shape)
    if value.x is None or value.y is None:
        raise RegionInvalid(f"'{name}' has no x and y")
    x, y = value.x / 100 * width, value.y / 100 * height
    if value.ellipselabels:
        radii = (value.radiusX or 0.0) / 100 * width, (value.radiusY or 0.0) / 100 * height
        return regions.ellipse(name, (x, y), radii, shape)
    across, down = (value.width or 0.0) / 100 * width, (value.height or 0.0) / 100 * height
    return regions.box(name, (x, y, x + across, y + down), shape)


def _first(found: Any) -> str | None:
    return str(found[0]) if isinstance(found, list) and found else None
