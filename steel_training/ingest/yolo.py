"""YOLO: source images and one text file per image, with boxes or polygons as shares of the image's sides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, Unpack

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from steel_training.ingest.annotated_images import ingest_annotated
from steel_training.ingest.annotation_files import annotation_files
from steel_training.ingest.annotations import AnnotationInvalid, Annotations
from steel_training.ingest.cut_rule import VOC_RULE
from steel_training.ingest.defect_classes import ClassUndefined
from steel_training.ingest.json_files import Form
from steel_training.ingest.options import IngestOptions
from steel_training.ingest.problems import first_ten
from steel_training.ingest.regions import Region, read_each
from steel_training.ingest.source_images import SourceImage, image_files
from steel_training.ingest.tiling import IngestSummary
from steel_training.ingest.yolo_lines import Task, YoloLines
from steel_training.storage import ObjectNotFound, open_storage

# Files beside the labels that are none: labelImg and label tools write the names of classes there.
_OTHER_FILES = frozenset({"classes.txt", "obj.names.txt", "train.txt", "val.txt", "test.txt", "labels.txt"})
_CLASS = Annotated[str, Field(min_length=1)]


class _DataFile(Form):
    names: dict[int, _CLASS] | list[_CLASS]
    kpt_shape: tuple[Annotated[int, Field(gt=0)], Literal[2, 3]] | None = None


@dataclass(frozen=True)
class Classes:
    """Names of classes by number; and (number, numbers each) of the key points of a line, where a data file has a `kpt_shape`."""

    names: dict[int, str]
    key_points: tuple[int, int] | None = None


_DATA_FILE = TypeAdapter(_DataFile)


def ingest_yolo(
    images: str, labels: str, out: str, *, classes: str, task: Task = "auto", **options: Unpack[IngestOptions]
) -> IngestSummary:
    """Cut source images with YOLO labels into a dataset, or use whole images as patches.

    A line is a box (class, centre x, centre y, width, height), a polygon (class, x, y, x, y, …), or a box with key points, of which the box is
    read; in shares of the image's sides.
    An empty file says that the image is clean; `missing` decides about an image without a file.

    Args:
        images: folder or S3 prefix of source images.
        labels: folder or S3 prefix of text files.
        out: folder or S3 prefix of the new dataset; must be empty.
        classes: `data.yaml` (its key `names`), a text file with a name on each line, or `0=scratch,1=pit`.
        task: what lines of more than five numbers are: polygons (`segment`) or boxes with key points (`pose`); `auto` goes by
            `kpt_shape` in `data.yaml`, else takes polygons, and refuses where every line could be either.
        options: see `IngestOptions`; a patch is defective from a quarter of its area, as a box is larger than its defect.

    Raises:
        NoSourceImages: no image file in `images`.
        ClassUndefined: `classes` cannot be read, or a label has a class that is not in it.
        AnnotationInvalid: a text file is broken, or has a region outside its image.
        UsageError: see `ingest_annotated`.
    """
    known = read_classes(classes)
    lines = YoloLines(known.names, classes, known.key_points, task)
    found = annotation_files(open_storage(labels), ".txt", partial(_regions, lines), other_files=_OTHER_FILES)
    options.setdefault("rule", VOC_RULE)
    annotations = Annotations("yolo", ("label file", "label files"), labels, found, judge=lines.judge)
    return ingest_annotated(image_files(images), annotations, out, **options)


def read_classes(classes: str) -> Classes:
    """Read the names of classes; see `ingest_yolo`.

    Raises:
        ClassUndefined: no such file, or it does not hold names.
    """
    if "=" in classes:
        names = {}
        for entry in filter(None, (entry.strip() for entry in classes.split(","))):
            number, _, name = (word.strip() for word in entry.partition("="))
            if not (number.isascii() and number.isdigit() and len(number) < 7 and name):
                raise ClassUndefined(f"--classes has {entry!r}; expected number=name from 0, such as 0=scratch,1=pit.")
            names[int(number)] = name
        return Classes(names)
    folder, slash, name = classes.rpartition("/")
    try:
        text = open_storage(folder or slash or ".").read(name).decode("utf-8-sig")
    except ObjectNotFound:
        raise ClassUndefined(
            f"{classes} does not exist; --classes takes data.yaml, a text file with a name on each line, or 0=scratch,1=pit."
        ) from None
    except UnicodeDecodeError as error:
        raise ClassUndefined(f"{classes} is not UTF-8: {error}. Save it as UTF-8.") from None
    if not classes.lower().endswith((".yaml", ".yml")):
        return Classes(dict(enumerate(line.strip() for line in text.strip().splitlines())))
    try:
        read = _DATA_FILE.validate_python(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError, ValueError, RecursionError) as error:
        raise ClassUndefined(
            f"{classes} has no readable 'names', a list or numbers with names (or a 'kpt_shape' that is not number and 2 or 3): "
            f"{str(error).splitlines()[0]}"
        ) from None
    listed = read.names
    return Classes(dict(enumerate(listed)) if isinstance(listed, list) else dict(listed), read.kpt_shape)


def _regions(lines: YoloLines, data: bytes, source: SourceImage, address: str) -> list[Region]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise AnnotationInvalid(f"{address} is not text in UTF-8; expected lines of numbers.") from None
    shape = source.pixels.shape[:2]
    read, invalid = read_each(text.splitlines(), lambda line: lines.region(line, shape), "line")
    if invalid:
        raise AnnotationInvalid(f"{address}: {first_ten(invalid)}. Correct the lines.")
    return read
