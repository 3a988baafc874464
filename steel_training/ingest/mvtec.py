"""The layout of MVTec AD: `train/good`, `test/good`, `test/DEFECT` and `ground_truth/DEFECT/NAME_mask.png`."""

from __future__ import annotations

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
from steel_training.ingest.masks import MaskInvalid, MaskMissing, MaskUnmatched, read_mask
from steel_training.ingest.problems import Problems, first_ten, in_folders
from steel_training.ingest.record import IngestRecord, Missing, Unmatched
from steel_training.ingest.source_images import ImageFiles, SourceImage, composed, image_files
from steel_training.ingest.tiling import Cutter, IngestSummary, Progress

CLEAN = "good"
_PARTS, _MASKS = ("train", "test"), "ground_truth"


def ingest_mvtec(
    root: str,
    out: str,
    *,
    rule: CutRule | None = None,
    names: Collection[str] = (),
    clean_names: Collection[str] = (CLEAN,),
    missing: Missing = "error",
    unmatched: Unmatched = "error",
    grey_range: GreyRange | None = None,
    group_regex: str | None = None,
    groups: str | None = None,
    progress: Progress | None = None,
) -> IngestSummary:
    """Cut one category in the layout of MVTec AD into a dataset. Its split into train and test is not kept.

    Args:
        root: folder or S3 prefix of the category; below it `train`, `test` and `ground_truth`.
        out: folder or S3 prefix of the new dataset; must be empty.
        rule: how to cut and label; by default patches of 64 pixels, clean at 0 %, defective from 2 %.
        names: folders of defects; where any is named, others are refused.
        clean_names: folders of clean images, which need no mask.
        missing: whether an image of a defect without mask is an error, or left out; it is never clean.
        unmatched: whether a mask without image is an error, or left out.
        grey_range: how grey values of more than 8 bits become 8 bits; without it such an image is an error.
        group_regex: finds the group in an image's name, see `grouping`.
        groups: CSV with the groups.
        progress: called with images done and in all.

    Raises:
        NoSourceImages: no image file below `root`.
        AnnotationInvalid: another layout.
        ClassUndefined: a folder is in neither list, or its name suggests that it holds no defects.
        MaskMissing: an image of a defect has no mask.
        MaskUnmatched: a mask has no image.
        MaskInvalid: a mask marks nothing, or holds more than 0 and one value.
        SizesDiffer: image and mask differ in size.
        SourceImageTooSmall: a patch is larger than an image.
        GreyRangeMissing: images have more than 8 bits, and `grey_range` is not given.
        GreyRangeUnused: images have 8 bits, and it is given.
        DatasetInvalid: several of these.
        OutputExists: `out` is not empty.
    """
    files = image_files(root)
    sources = files.only(name for name in files if name.split("/")[0] in _PARTS and name.count("/") == 2)
    masks = files.only(name for name in files if name.split("/")[0] == _MASKS)
    _check_layout(root, files, sources, masks)
    classes = DefectClasses(names, clean_names)
    problems, record = Problems(), IngestRecord("mvtec")
    pairs = _pairs(sources, masks, classes, problems, record, missing=missing, unmatched=unmatched)
    cutting = Cutting(sources, grey_range=grey_range, group_regex=group_regex, groups=groups, progress=progress)
    with new_dataset(out) as writer:
        cutter = Cutter(writer, rule or CutRule(), class_names=classes.named, record=record)
        cutting.run(pairs, cutter, problems)
        classes.judge(problems, "of {} folders")
        problems.settle()
        record.by_value.clear()  # internal numbers, not values of a mask
        record.write(writer.folder)
    return cutter.summary(out)


def _check_layout(root: str, files: ImageFiles, sources: ImageFiles, masks: ImageFiles) -> None:
    other = [name for name in files if name not in sources.keys and name not in masks.keys]
    if not sources or other:
        folder = root.rstrip("/")
        categories = sorted({name.split("/")[0] for name in other if name.split("/")[1:2] in (["train"], ["test"])})
        advice = (
            f" Name one category: {first_ten(f'{folder}/{category}' for category in categories)}." if categories else ""
        )
        raise AnnotationInvalid(
            f"{root} holds {len(other):,} images outside train/FOLDER, test/FOLDER and ground_truth/FOLDER: {first_ten(other)}.{advice} "
            "Expected the layout of MVTec AD."
        )


def _pairs(
    sources: ImageFiles,
    masks: ImageFiles,
    classes: DefectClasses,
    problems: Problems,
    record: IngestRecord,
    *,
    missing: Missing,
    unmatched: Unmatched,
) -> dict[str, MaskOf | None]:
    """Return the mask of every image to cut."""
    by_name = {composed(name): name for name in masks}
    pairs: dict[str, MaskOf | None] = {}
    absent, used = [], set()
    for name in sources:
        folder, file = PurePosixPath(name).parts[1:]
        if not classes.is_defect(folder, folder):
            pairs[name] = _clean
            continue
        mask = by_name.get(composed(f"{_MASKS}/{folder}/{file}_mask")) or by_name.get(
            composed(f"{_MASKS}/{folder}/{file}")
        )
        if mask is None:
            absent.append(name)
        else:
            used.add(mask)
            pairs[name] = partial(_mask, masks, mask, classes.number(folder))
    if absent and missing != "skip":
        problems.add(
            MaskMissing(
                f"{len(absent):,} images of defects have no mask ground_truth/FOLDER/NAME_mask.png{in_folders(absent)}: {first_ten(absent)}. Add "
                "them, or use --missing skip to leave these images out. If a folder holds clean images: --clean-names good,FOLDER."
            )
        )
    elif absent:
        record.left_out["images without mask (--missing skip)"] = absent
    unused = sorted(set(masks) - used)
    if unused and unmatched == "error":
        problems.add(
            MaskUnmatched(
                f"{len(unused):,} of {len(masks):,} masks belong to no image of a defect: {first_ten(unused)}. Correct their names, or "
                "use --unmatched skip to leave them out."
            )
        )
    elif unused:
        record.left_out["masks without image (--unmatched skip)"] = unused
    return pairs


def _clean(source: SourceImage) -> np.ndarray:
    return np.zeros(source.pixels.shape[:2], np.int32)


def _mask(masks: ImageFiles, name: str, number: int, _: SourceImage) -> np.ndarray:
    mask = read_mask(masks, name)
    values = np.unique(mask[mask != 0])
    if len(values) != 1:
        found = f"holds the values {first_ten(values.tolist())}" if len(values) else "marks no pixel"
        raise MaskInvalid(
            f"{masks.address(name)} {found}; expected 0 and one value for the defect that its folder names. Correct it, or use 'ingest masks'."
        )
    return np.where(mask != 0, np.int32(number), np.int32(0))
