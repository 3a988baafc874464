"""Pascal VOC boxes, as in NEU-DET: source images and one XML file per image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Unpack

from steel_training.ingest import regions
from steel_training.ingest.annotated_images import ingest_annotated
from steel_training.ingest.annotation_files import annotation_files
from steel_training.ingest.annotations import (
    AnnotationAmbiguous,
    AnnotationInvalid,
    AnnotationMissing,
    Annotations,
    AnnotationUnmatched,
    check_size,
)
from steel_training.ingest.cut_rule import VOC_RULE
from steel_training.ingest.defect_classes import ClassUndefined
from steel_training.ingest.options import IngestOptions
from steel_training.ingest.problems import first_ten
from steel_training.ingest.regions import Region
from steel_training.ingest.source_images import SourceImage, image_files
from steel_training.ingest.tiling import IngestSummary
from steel_training.ingest.xml_files import parse_xml
from steel_training.storage import open_storage

__all__ = [
    "AnnotationAmbiguous",
    "AnnotationInvalid",
    "AnnotationMissing",
    "AnnotationUnmatched",
    "Box",
    "ClassUndefined",
    "ingest_voc",
    "read_boxes",
]


@dataclass(frozen=True)
class Box:
    """A defect's bounding box; half-open pixel ranges, counted from 0."""

    name: str
    left: int
    top: int
    right: int
    bottom: int


def ingest_voc(images: str, annotations: str, out: str, **options: Unpack[IngestOptions]) -> IngestSummary:
    """Cut source images with boxes into a dataset, or use whole images as patches.

    Args:
        images: folder or S3 prefix of source images.
        annotations: folder or S3 prefix of XML files, `a.xml` for the image `a.jpg`,
            in a subfolder of the same name or not.
        out: folder or S3 prefix of the new dataset; must be empty.
        options: see `IngestOptions`; a patch is defective from a quarter of its area, as a box is larger than its defect.

    Raises:
        NoSourceImages: no image file in `images`.
        AnnotationInvalid: an XML file is broken, declares entities, or has a box outside its image.
        UsageError: see `ingest_annotated`.
    """
    found = annotation_files(open_storage(annotations), ".xml", _regions)
    options.setdefault("rule", VOC_RULE)
    return ingest_annotated(
        image_files(images), Annotations("voc", ("XML file", "XML files"), annotations, found), out, **options
    )


def _regions(data: bytes, source: SourceImage, address: str) -> list[Region]:
    shape = source.pixels.shape[:2]
    return [
        regions.box(box.name, (box.left, box.top, box.right, box.bottom), shape)
        for box in read_boxes(data, shape, address, rotated=source.rotated)
    ]


def read_boxes(data: bytes, shape: tuple[int, ...], address: str, *, rotated: bool = False) -> list[Box]:
    """Read the boxes of one annotation. Boxes marked `difficult` count: a missed defect costs more than a false alarm.

    Args:
        data: the XML file. Pixels are counted from 1, both edges belong to the box; 0 is read as 1.
        shape: (height, width) of the image.
        address: of the file, for messages.
        rotated: whether the image's EXIF orientation was applied.

    Raises:
        AnnotationInvalid: broken XML, entity declarations, or boxes outside the image; all of them are named.
        SizesDiffer: `size` differs from the image's.
    """
    root = parse_xml(data, address)
    height, width = shape
    if root.tag != "annotation":
        raise AnnotationInvalid(f"{address} begins with <{root.tag}>; expected the <annotation> of Pascal VOC.")
    stated = tuple(_whole_number(root.findtext(f"size/{side}")) for side in ("width", "height"))
    check_size(stated, shape, address, rotated=rotated)
    boxes: list[Box] = []
    outside: list[str] = []
    rotated_boxes: list[str] = []
    for number, item in enumerate(root.findall("object"), start=1):
        if item.find("bndbox") is None and item.find("robndbox") is not None:
            rotated_boxes.append(str(number))
            continue
        edges = {edge: _whole_number(item.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")}
        left, top, right, bottom = (edge if edge is not None else math.nan for edge in edges.values())
        if not (0 <= left <= right <= width and 0 <= top <= bottom <= height and right >= 1 and bottom >= 1):
            outside.append(f"object {number}: {', '.join(f'{edge}={value}' for edge, value in edges.items())}")
            continue
        label = (item.findtext("name") or "").strip() or "defect"
        boxes.append(Box(label, max(int(left), 1) - 1, max(int(top), 1) - 1, int(right), int(bottom)))
    if rotated_boxes:
        raise AnnotationInvalid(
            f"{address}, object {first_ten(rotated_boxes)}: a rotated box (robndbox), which Pascal VOC does not have. Save upright boxes (bndbox), or "
            "polygons in another format, such as LabelMe."
        )
    if outside:
        verb = "is not a box" if len(outside) == 1 else "are not boxes"
        raise AnnotationInvalid(f"{address}, {'; '.join(outside)} {verb} inside the image of {width}×{height} pixels.")
    return boxes


def _whole_number(text: str | None) -> int | None:
    try:
        return round(float(text or ""))
    except (ValueError, OverflowError):
        return None
