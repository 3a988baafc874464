"""A folder of images per class, as NEU-CLS has them: every image becomes one patch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from functools import partial
from pathlib import PurePosixPath

import numpy as np

from steel_training.data.dataset import new_dataset
from steel_training.data.grey_range import GreyRange
from steel_training.ingest.annotations import AnnotationInvalid
from steel_training.ingest.cut_images import Cutting, MaskOf
from steel_training.ingest.cut_rule import CutRule
from steel_training.ingest.defect_classes import DefectClasses
from steel_training.ingest.problems import Problems, first_ten
from steel_training.ingest.record import IngestRecord
from steel_training.ingest.source_images import SourceImage, image_files
from steel_training.ingest.tiling import Cutter, IngestSummary, Progress

# Folders of these names hold images of all classes.
_NO_CLASS = frozenset(
    {
        "",
        "images",
        "image",
        "img",
        "imgs",
        "jpegimages",
        "data",
        "train",
        "training",
        "val",
        "valid",
        "validation",
        "test",
        "testing",
    }
)


def ingest_folders(
    root: str,
    out: str,
    *,
    names: Collection[str] = (),
    clean_names: Collection[str] = (),
    grey_range: GreyRange | None = None,
    group_regex: str | None = None,
    groups: str | None = None,
    progress: Progress | None = None,
) -> IngestSummary:
    """Make a dataset of images that are labelled by the folder they are in. No image is cut: where in it the defect is, nobody said.

    Args:
        root: folder or S3 prefix; the folder that directly holds an image is its class.
        out: folder or S3 prefix of the new dataset; must be empty.
        names: folders of defects; where any is named, others are refused.
        clean_names: folders of clean images.
        grey_range: how grey values of more than 8 bits become 8 bits; without it such an image is an error.
        group_regex: finds the group in an image's name, see `grouping`.
        groups: CSV with the groups.
        progress: called with images done and in all.

    Raises:
        NoSourceImages: no image file below `root`.
        AnnotationInvalid: images are not in the folder of a class.
        ClassUndefined: a folder is in neither list, or its name suggests that it holds no defects.
        SizesDiffer: images differ in size.
        GreyRangeMissing: images have more than 8 bits, and `grey_range` is not given.
        GreyRangeUnused: images have 8 bits, and it is given.
        DatasetInvalid: several of these.
        OutputExists: `out` is not empty.
    """
    sources = image_files(root)
    classes, problems, record = DefectClasses(names, clean_names), Problems(), IngestRecord("folders")
    counts = Counter(_class(name) for name in sources)
    unclear = {
        folder: count
        for folder, count in counts.items()
        if folder.lower() in _NO_CLASS and folder not in {*names, *clean_names}
    }
    if unclear:
        listed = first_ten(f"{count:,} in {folder or 'the top folder'}" for folder, count in unclear.items())
        raise AnnotationInvalid(
            f"{root} holds images that are in no folder of a class: {listed}; the other folders are {first_ten(sorted(set(counts) - set(unclear))) or 'none'}. "
            "Put every image into a folder of its class, or name such a folder in --names or --clean-names."
        )
    masks: dict[str, MaskOf | None] = {}
    for name in sources:
        kind = _class(name)
        masks[name] = partial(
            _filled, classes.number(kind) if classes.is_defect(kind, f"{kind} ({counts[kind]:,} images)") else 0
        )
    cutting = Cutting(
        sources, grey_range=grey_range, group_regex=group_regex, groups=groups, whole=True, progress=progress
    )
    with new_dataset(out) as writer:
        cutter = Cutter(writer, CutRule(), class_names=classes.named, record=record)
        cutting.run(masks, cutter, problems)
        classes.judge(problems, "of {} folders")
        problems.settle()
        record.by_value.clear()  # internal numbers, not values of a mask
        record.write(writer.folder)
    return cutter.summary(out)


def _class(name: str) -> str:
    return PurePosixPath(name).parent.name


def _filled(number: int, source: SourceImage) -> np.ndarray:
    return np.full(source.pixels.shape[:2], number, np.int32)
