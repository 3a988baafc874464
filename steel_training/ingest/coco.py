"""COCO: source images and one JSON file with polygons, run lengths or boxes."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Annotated, Any, Unpack

from pydantic import Field, TypeAdapter

from steel_training.ingest import regions
from steel_training.ingest.annotated_images import ingest_annotated
from steel_training.ingest.annotations import Annotation, AnnotationInvalid, Annotations, check_size
from steel_training.ingest.annotations_file import image_name, read_annotations_file
from steel_training.ingest.json_files import Form, Number, read_json
from steel_training.ingest.options import IngestOptions
from steel_training.ingest.problems import first_ten
from steel_training.ingest.regions import Region, RegionInvalid, read_each
from steel_training.ingest.run_lengths import decode_coco_counts, decode_runs
from steel_training.ingest.source_images import SourceImage, image_files
from steel_training.ingest.tiling import IngestSummary

_Id = int | str


class _Image(Form):
    id: _Id
    file_name: Annotated[str, Field(min_length=1)]
    width: int | None = None
    height: int | None = None


class _RunLengths(Form):
    size: tuple[int, int]
    counts: list[int] | str


class _Annotation(Form):
    image_id: _Id
    category_id: _Id
    bbox: list[Number] | None = None
    segmentation: list[list[Number]] | _RunLengths | None = None
    keypoints: Any = None


class _Category(Form):
    id: _Id
    name: str


class _File(Form):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


_FILE = TypeAdapter(_File)


def ingest_coco(images: str, annotations: str, out: str, **options: Unpack[IngestOptions]) -> IngestSummary:
    """Cut source images with COCO annotations into a dataset, or use whole images as patches.

    Polygons and run lengths are used as they are; an annotation without them is its box. Crowds count. An image that the file
    lists without an annotation is clean.

    Args:
        images: folder or S3 prefix of source images.
        annotations: JSON file or `s3://` URI, or a folder with one such file.
        out: folder or S3 prefix of the new dataset; must be empty.
        options: see `IngestOptions`.

    Raises:
        NoSourceImages: no image file in `images`.
        AnnotationInvalid: the file is not COCO, or contradicts itself or an image.
        UsageError: see `ingest_annotated`.
    """
    address, data = read_annotations_file(annotations, ".json")
    found = _annotations(
        read_json(data, _FILE, address, expected="a COCO file with images, annotations and categories"), address
    )
    return ingest_annotated(
        image_files(images), Annotations("coco", ("entry", "entries"), address, found), out, **options
    )


def _annotations(file: _File, address: str) -> dict[str, Annotation]:
    names = {category.id: category.name.strip() for category in file.categories}
    of_image: dict[_Id, list[_Annotation]] = defaultdict(list)
    for annotation in file.annotations:
        of_image[annotation.image_id].append(annotation)
    wrong = []
    if len(names) < len(file.categories):
        wrong.append("categories of the same id")
    unnamed = sorted({str(one.category_id) for one in file.annotations if one.category_id not in names})
    if unnamed:
        wrong.append(f"category_id {first_ten(unnamed)} is not among the categories")
    listed = {image.id for image in file.images}
    if len(listed) < len(file.images):
        wrong.append("images of the same id")
    if unlisted := [str(image) for image in of_image if image not in listed]:
        wrong.append(f"image_id {first_ten(unlisted)} of annotations is not among the images")
    found: dict[str, Annotation] = {}
    twice = []
    for image in file.images:
        name = image_name(image.file_name)
        if name in found:
            twice.append(image.file_name)
        found[name] = Annotation(image.file_name, partial(_regions, image, of_image[image.id], names, address))
    if twice:
        wrong.append(f"the file_name {first_ten(twice)} occurs more than once")
    if wrong:
        raise AnnotationInvalid(f"{address} contradicts itself: {'; '.join(wrong)}. Correct the file.")
    return found


def _regions(
    image: _Image, found: list[_Annotation], names: dict[_Id, str], address: str, source: SourceImage
) -> list[Region]:
    shape = source.pixels.shape[:2]
    where = f"{address}, {image.file_name}"
    check_size((image.width, image.height), shape, where, rotated=source.rotated)
    read, invalid = read_each(found, lambda one: _region(one, names[one.category_id], shape), "annotation")
    if invalid:
        raise AnnotationInvalid(f"{where}: {first_ten(invalid)}. Correct the annotations.")
    return read


def _region(annotation: _Annotation, name: str, shape: tuple[int, ...]) -> Region:
    outline = annotation.segmentation
    if isinstance(outline, _RunLengths):
        if outline.size != shape:
            raise RegionInvalid(
                f"its run lengths are of an image of {outline.size[1]}×{outline.size[0]} pixels, the image has {shape[1]}×{shape[0]}"
            )
        counts = decode_coco_counts(outline.counts) if isinstance(outline.counts, str) else outline.counts
        pixels = decode_runs(counts, shape[0] * shape[1]).reshape(shape, order="F")
        return regions.bitmap(name, pixels, (0, 0), shape)
    if outline:
        parts = [regions.polygon(name, regions.pairs(numbers), shape) for numbers in outline]
        return regions.joined(parts)
    if annotation.bbox is None or len(annotation.bbox) != 4:
        raise RegionInvalid(
            f"it has neither a segmentation nor a bbox of 4 numbers{' (but keypoints)' if annotation.keypoints else ''}; draw its area, or remove it"
        )
    left, top, width, height = annotation.bbox
    return regions.box(name, (left, top, left + width, top + height), shape)
