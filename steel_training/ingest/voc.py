"""Pascal VOC boxes, as NEU-DET has them: photographs and one XML file a photograph."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from steel_training.data.dataset import CLEAN, DEFECTIVE, new_dataset
from steel_training.errors import UsageError
from steel_training.ingest.cut_rule import VOC_RULE, CutRule
from steel_training.ingest.grouping import grouping
from steel_training.ingest.source_images import flat_name, image_files
from steel_training.ingest.tiling import Cutter, IngestSummary, PhotographTooSmall, Progress, SizesDiffer
from steel_training.storage import Storage, open_storage

MAX_BYTES = 4 << 20
_EXAMPLES = 3


class AnnotationInvalid(UsageError):
    """An annotation is no Pascal VOC XML, or contradicts its photograph."""


class AnnotationMissing(UsageError):
    """A photograph has no annotation."""


@dataclass(frozen=True)
class Box:
    """A defect's bounding box; edges as half-open pixel ranges, counted from 0."""

    name: str
    left: int
    top: int
    right: int
    bottom: int


def ingest_voc(
    images: str,
    annotations: str,
    out: str,
    *,
    rule: CutRule = VOC_RULE,
    whole: bool = False,
    missing: Literal["error", "clean"] = "error",
    group_regex: str | None = None,
    groups: str | None = None,
    progress: Progress | None = None,
) -> IngestSummary:
    """Cuts photographs with boxes into a dataset, or takes whole photographs as patches.

    Args:
        images: folder or S3 prefix of photographs.
        annotations: folder or S3 prefix of XML files, `a.xml` for the photograph `a.jpg`,
            in a subfolder of the same name or not.
        out: folder or S3 prefix of the new dataset; must be empty.
        rule: how to cut and label, by the share of a patch that boxes cover.
        whole: takes every photograph as one patch, defective when it has a box; photographs must be of one size.
        missing: what a photograph without an XML file is: an error, or clean.
        group_regex: tells the group from a photograph's name, see `grouping`.
        groups: CSV that tells it.
        progress: called with photographs done and in all.

    Raises:
        NoPhotographs: no image file in `images`.
        AnnotationMissing: a photograph has no XML file and `missing` is 'error'.
        AnnotationInvalid: an XML file is broken, declares entities, or has a box outside its photograph.
        SizesDiffer: an XML file gives another size than the photograph has; with `whole`, photographs differ in size.
        PhotographTooSmall: a patch is larger than a photograph.
        OutputExists: there is something at `out` already.
    """
    photographs = image_files(images)
    storage = open_storage(annotations)
    files = _annotation_files(storage, photographs)
    absent = [name for name in photographs if name not in files]
    if absent and (missing == "error" or not files):
        raise AnnotationMissing(
            f"{len(absent)} of {len(photographs)} photographs have no XML file of the same name in {annotations}: "
            f"{', '.join(absent[:_EXAMPLES])}{', …' if len(absent) > _EXAMPLES else ''}. "
            "Add them, or say --missing clean where no file means no defect."
        )
    coarser = grouping(photographs, regex=group_regex, table=groups)

    numbers: dict[str, int] = {}
    names: dict[int, str] = {}
    first_size: tuple[int, ...] | None = None
    with new_dataset(out) as writer:
        cutter = Cutter(writer, rule, class_names=names)
        for done, name in enumerate(photographs, start=1):
            photograph = photographs.photograph(name)
            boxes = []
            if name in files:
                boxes = read_boxes(storage.read(files[name]), photograph.shape[:2], storage.location(files[name]))
            if whole:
                first_size = first_size or photograph.shape
                if photograph.shape != first_size:
                    raise SizesDiffer(
                        f"{photographs.address(name)} is {_size(photograph.shape)}, the ones before are "
                        f"{_size(first_size)}; whole photographs must be of one size. Leave out --whole to cut patches."
                    )
                writer.add(
                    flat_name(name),
                    photograph,
                    label=DEFECTIVE if boxes else CLEAN,
                    source_id=name,
                    metadata={
                        **coarser.metadata(name),
                        "x": 0,
                        "y": 0,
                        "defect_type": max(boxes, key=_area).name if boxes else "",
                    },
                )
            else:
                mask = np.zeros(photograph.shape[:2], dtype=np.int32)
                # The smaller box is drawn later, so that a large one does not hide it.
                for box in sorted(boxes, key=_area, reverse=True):
                    number = numbers.setdefault(box.name, len(numbers) + 1)
                    names[number] = box.name
                    mask[box.top : box.bottom, box.left : box.right] = number
                try:
                    cutter.add(name, photograph, mask, metadata=coarser.metadata(name))
                except PhotographTooSmall as error:
                    raise PhotographTooSmall(f"{photographs.address(name)}: {error}.") from None
            if progress:
                progress(done, len(photographs))
    return cutter.summary(out)


def _annotation_files(storage: Storage, photographs: Iterable[str]) -> dict[str, str]:
    """Returns the XML file of every photograph that has one: of the same path, or of the same name alone.

    NEU-DET sorts its photographs into a folder a class and its annotations into one.
    """
    by_path: dict[str, str] = {}
    by_name: dict[str, list[str]] = defaultdict(list)
    for key in sorted(entry.key for entry in storage.entries()):
        path = PurePosixPath(key)
        if path.suffix.lower() == ".xml":
            by_path[str(path.with_suffix(""))] = key
            by_name[path.stem].append(key)
    files = {}
    for photograph in photographs:
        alike = by_name.get(PurePosixPath(photograph).name, [])
        if photograph in by_path:
            files[photograph] = by_path[photograph]
        elif len(alike) == 1:
            files[photograph] = alike[0]
    return files


def read_boxes(data: bytes, shape: tuple[int, ...], address: str) -> list[Box]:
    """Reads the boxes of one annotation. Boxes marked `difficult` count: a missed defect costs more than an alarm.

    Args:
        data: the XML file. Pixels are counted from 1, both edges belong to the box; 0 is read as 1.
        shape: (height, width) of the photograph.
        address: of the file, for messages.

    Raises:
        AnnotationInvalid: broken XML, entity declarations, or a box outside the photograph.
        SizesDiffer: `size` differs from the photograph's.
    """
    root = parse_xml(data, address)
    height, width = shape
    if root.tag != "annotation":
        raise AnnotationInvalid(f"{address} begins with <{root.tag}>; expected the <annotation> of Pascal VOC.")
    stated = (root.findtext("size/width"), root.findtext("size/height"))
    if all(stated) and stated != (str(width), str(height)):
        raise SizesDiffer(
            f"{address} says {stated[0]}×{stated[1]} pixels, the photograph is {width}×{height}. "
            "Annotate the photograph as it is."
        )
    boxes = []
    for number, item in enumerate(root.findall("object"), start=1):
        edges = {edge: _whole_number(item.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")}
        left, top, right, bottom = (edge if edge is not None else math.nan for edge in edges.values())
        if not (0 <= left <= right <= width and 0 <= top <= bottom <= height and right >= 1 and bottom >= 1):
            raise AnnotationInvalid(
                f"{address}, object {number}: {', '.join(f'{edge}={value}' for edge, value in edges.items())} "
                f"is no box inside the photograph of {width}×{height} pixels."
            )
        label = (item.findtext("name") or "").strip() or "defect"
        boxes.append(Box(label, max(int(left), 1) - 1, max(int(top), 1) - 1, int(right), int(bottom)))
    return boxes


def parse_xml(data: bytes, address: str) -> Element:
    """Parses XML from strangers: entity declarations are refused, so that nothing expands or is fetched.

    Raises:
        AnnotationInvalid: not well-formed, larger than `MAX_BYTES`, or it declares entities.
    """
    if len(data) > MAX_BYTES:
        raise AnnotationInvalid(f"{address} has {len(data):,} bytes; at most {MAX_BYTES:,} are read.")

    def refuse(*_: object) -> NoReturn:
        raise AnnotationInvalid(f"{address} declares entities, which annotations have no need of; it is not read.")

    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise AnnotationInvalid(f"{address} is no well-formed XML: {error}.") from None
    return builder.close()


def _whole_number(text: str | None) -> int | None:
    try:
        return round(float(text or ""))
    except (ValueError, OverflowError):
        return None


def _area(box: Box) -> int:
    return (box.right - box.left) * (box.bottom - box.top)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]} pixels {'RGB' if len(shape) == 3 else 'grey'}"
