"""YOLO: source images and one text file per image, with boxes or polygons as shares of the image's sides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Unpack

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from steel_training.ingest import regions
from steel_training.ingest.annotated_images import ingest_annotated
from steel_training.ingest.annotation_files import annotation_files
from steel_training.ingest.annotations import AnnotationInvalid, Annotations
from steel_training.ingest.cut_rule import VOC_RULE
from steel_training.ingest.defect_classes import ClassUndefined
from steel_training.ingest.json_files import Form
from steel_training.ingest.options import IngestOptions
from steel_training.ingest.problems import first_ten
from steel_training.ingest.regions import Region, RegionInvalid, read_each
from steel_training.ingest.source_images import SourceImage, image_files
from steel_training.ingest.tiling import IngestSummary
from steel_training.storage import ObjectNotFound, open_storage

# Files beside the labels that are none: labelImg and label tools write the names of classes there.
_OTHER_FILES = frozenset({"classes.txt", "obj.names.txt", "train.txt", "val.txt", "test.txt", "labels.txt"})
_CLASS = Annotated[str, Field(min_length=1)]


class _DataFile(Form):
    names: dict[int, _CLASS] | list[_CLASS]


_DATA_FILE = TypeAdapter(_DataFile)


def ingest_yolo(images: str, labels: str, out: str, *, classes: str, **options: Unpack[IngestOptions]) -> IngestSummary:
    """Cut source images with YOLO labels into a dataset, or use whole images as patches.

    A line is a box (class, centre x, centre y, width, height) or a polygon (class, x, y, x, y, …), in shares of the image's sides.
    An empty file says that the image is clean; `missing` decides about an image without a file.

    Args:
        images: folder or S3 prefix of source images.
        labels: folder or S3 prefix of text files.
        out: folder or S3 prefix of the new dataset; must be empty.
        classes: `data.yaml` (its key `names`), a text file with a name on each line, or `0=scratch,1=pit`.
        options: see `IngestOptions`; a patch is defective from a quarter of its area, as a box is larger than its defect.

    Raises:
        NoSourceImages: no image file in `images`.
        ClassUndefined: `classes` cannot be read, or a label has a class that is not in it.
        AnnotationInvalid: a text file is broken, or has a region outside its image.
        UsageError: see `ingest_annotated`.
    """
    names = read_class_names(classes)
    found = annotation_files(open_storage(labels), ".txt", partial(_regions, names, classes), other_files=_OTHER_FILES)
    options.setdefault("rule", VOC_RULE)
    return ingest_annotated(
        image_files(images), Annotations("yolo", ("label file", "label files"), labels, found), out, **options
    )


def read_class_names(classes: str) -> dict[int, str]:
    """Read the names of classes by number; see `ingest_yolo`.

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
        return names
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
        return dict(enumerate(line.strip() for line in text.strip().splitlines()))
    try:
        listed = _DATA_FILE.validate_python(yaml.safe_load(text)).names
    except (yaml.YAMLError, ValidationError, ValueError, RecursionError) as error:
        raise ClassUndefined(
            f"{classes} has no readable 'names', a list or numbers with names: {str(error).splitlines()[0]}"
        ) from None
    return dict(enumerate(listed)) if isinstance(listed, list) else dict(listed)


def _regions(names: Mapping[int, str], classes: str, data: bytes, source: SourceImage, address: str) -> list[Region]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise AnnotationInvalid(f"{address} is not text in UTF-8; expected lines of numbers.") from None
    shape = source.pixels.shape[:2]
    read, invalid = read_each(text.splitlines(), lambda line: _region(line, names, classes, shape), "line")
    if invalid:
        raise AnnotationInvalid(f"{address}: {first_ten(invalid)}. Correct the lines.")
    return read


def _region(line: str, names: Mapping[int, str], classes: str, shape: tuple[int, ...]) -> Region | None:
    words = line.split()
    if not words:
        return None
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        raise RegionInvalid(f"{line[:40]!r} holds more than numbers") from None
    if not all(map(math.isfinite, numbers)) or not numbers[0].is_integer():
        raise RegionInvalid(f"{line[:40]!r} does not begin with the number of a class, or holds no finite numbers")
    name = names.get(int(numbers[0]))
    if name is None:
        raise RegionInvalid(f"class {words[0]} is not in {classes}, which names {first_ten(sorted(names)) or 'none'}")
    if any(not -0.01 <= number <= 1.01 for number in numbers[1:]):
        raise RegionInvalid(
            f"{line[:40]!r} holds numbers outside 0 to 1; expected shares of the image's sides, not pixels"
        )
    height, width = shape
    if len(numbers) == 5:
        x, y, across, down = numbers[1:]
        edges = ((x - across / 2) * width, (y - down / 2) * height, (x + across / 2) * width, (y + down / 2) * height)
        return regions.box(name, edges, shape)
    if len(numbers) == 6:
        raise RegionInvalid(
            "it has 6 numbers: the last seems to be a confidence, and the file a prediction, not an annotation"
        )
    if len(numbers) < 7 or len(numbers) % 2 == 0:
        raise RegionInvalid(f"it has {len(numbers)} numbers; a box has 5, a polygon 7 or more, an odd number")
    return regions.polygon(name, [(x * width, y * height) for x, y in regions.pairs(numbers[1:])], shape)
