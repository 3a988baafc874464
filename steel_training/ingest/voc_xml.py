"""Reads boxes from Pascal VOC XML, which is untrusted input."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from steel_training.errors import UsageError
from steel_training.ingest.tiling import SizesDiffer

MAX_BYTES = 4 << 20
_ENCODING = re.compile(rb"""\s*<\?xml[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_PROLOGUE = 200


class AnnotationInvalid(UsageError):
    """An annotation is not Pascal VOC XML, or contradicts its image."""


@dataclass(frozen=True)
class Box:
    """A defect's bounding box; half-open pixel ranges, counted from 0."""

    name: str
    left: int
    top: int
    right: int
    bottom: int


def read_boxes(data: bytes, shape: tuple[int, ...], address: str, *, rotated: bool = False) -> list[Box]:
    """Reads the boxes of one annotation. Boxes marked `difficult` count: a missed defect costs more than a false alarm.

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
    if all(stated) and stated != (width, height):
        raise SizesDiffer(
            f"{address} says {stated[0]}×{stated[1]} pixels, the image is {width}×{height}. {_cause(stated, shape, rotated)}"
        )
    boxes: list[Box] = []
    outside: list[str] = []
    for number, item in enumerate(root.findall("object"), start=1):
        edges = {edge: _whole_number(item.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")}
        left, top, right, bottom = (edge if edge is not None else math.nan for edge in edges.values())
        if not (0 <= left <= right <= width and 0 <= top <= bottom <= height and right >= 1 and bottom >= 1):
            outside.append(f"object {number}: {', '.join(f'{edge}={value}' for edge, value in edges.items())}")
            continue
        label = (item.findtext("name") or "").strip() or "defect"
        boxes.append(Box(label, max(int(left), 1) - 1, max(int(top), 1) - 1, int(right), int(bottom)))
    if outside:
        verb = "is not a box" if len(outside) == 1 else "are not boxes"
        raise AnnotationInvalid(f"{address}, {'; '.join(outside)} {verb} inside the image of {width}×{height} pixels.")
    return boxes


def _cause(stated: tuple[int | None, ...], shape: tuple[int, ...], rotated: bool) -> str:
    """Returns why an annotation's size may differ from its image's, and what to do."""
    if rotated and stated == shape[:2]:
        return (
            "Its EXIF orientation was applied, as viewers do; the boxes were drawn on the pixels as stored. Store the pixels upright "
            "without the orientation, or annotate the image as shown."
        )
    if stated == shape[:2]:
        return "Width and height are swapped: the image was rotated after it was annotated, or before. Annotate it as it is."
    return "Annotate the image as it is."


def parse_xml(data: bytes, address: str) -> Element:
    """Parses untrusted XML: entity declarations are refused, so that nothing expands or is fetched.

    Raises:
        AnnotationInvalid: not well-formed, larger than `MAX_BYTES`, or it declares entities.
    """
    if len(data) > MAX_BYTES:
        raise AnnotationInvalid(f"{address} has {len(data):,} bytes; at most {MAX_BYTES:,} are read.")

    def refuse(*_: object) -> NoReturn:
        raise AnnotationInvalid(f"{address} declares entities, which annotations do not need; it is not read.")

    def parsed(text: bytes | str) -> Element:
        builder = TreeBuilder()
        parser = expat.ParserCreate()
        parser.EntityDeclHandler = refuse
        parser.StartElementHandler = builder.start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.data
        parser.Parse(text, True)
        return builder.close()

    try:
        try:
            return parsed(data)
        except (ValueError, LookupError):
            # Expat reads single-byte encodings; Python knows gb2312 and its like.
            return parsed(_decoded(data, address))
    except expat.ExpatError as error:
        raise AnnotationInvalid(f"{address} is not well-formed XML: {error}.") from None


def _decoded(data: bytes, address: str) -> str:
    declared = _ENCODING.match(data[:_PROLOGUE])
    encoding = declared[1].decode("ascii") if declared else "utf-8"
    try:
        return data.decode(encoding)
    except (LookupError, ValueError) as error:
        raise AnnotationInvalid(
            f"{address} declares the encoding {encoding}, but cannot be decoded with it: {error}. Save it as UTF-8."
        ) from None


def _whole_number(text: str | None) -> int | None:
    try:
        return round(float(text or ""))
    except (ValueError, OverflowError):
        return None
