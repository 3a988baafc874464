"""Pascal VOC boxes, as in NEU-DET: source images and one XML file per image."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from steel_training.data.dataset import new_dataset
from steel_training.data.defect_types import names_no_defect
from steel_training.errors import UsageError
from steel_training.ingest.cut_rule import VOC_RULE, CutRule
from steel_training.ingest.grouping import grouping
from steel_training.ingest.problems import Problems, first_ten, in_folders
from steel_training.ingest.record import IngestRecord, Missing, Unmatched
from steel_training.ingest.source_images import ImageFiles, image_files
from steel_training.ingest.tiling import Cutter, IngestSummary, Progress, SizesDiffer, SourceImageTooSmall
from steel_training.ingest.voc_files import AnnotationAmbiguous, match_files
from steel_training.ingest.voc_xml import AnnotationInvalid, Box, read_boxes
from steel_training.storage import Storage, open_storage

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


class AnnotationMissing(UsageError):
    """An image has no annotation."""


class AnnotationUnmatched(UsageError):
    """An annotation belongs to no image."""


class ClassUndefined(UsageError):
    """A box has a class that the user did not name, or whose name suggests that it is not a defect."""


def ingest_voc(
    images: str,
    annotations: str,
    out: str,
    *,
    rule: CutRule = VOC_RULE,
    whole: bool = False,
    names: Collection[str] = (),
    clean_names: Collection[str] = (),
    missing: Missing = "error",
    unmatched: Unmatched = "error",
    group_regex: str | None = None,
    groups: str | None = None,
    progress: Progress | None = None,
) -> IngestSummary:
    """Cuts source images with boxes into a dataset, or uses whole images as patches.

    Args:
        images: folder or S3 prefix of source images.
        annotations: folder or S3 prefix of XML files, `a.xml` for the image `a.jpg`,
            in a subfolder of the same name or not.
        out: folder or S3 prefix of the new dataset; must be empty.
        rule: how to cut and label, by the share of a patch that boxes cover.
        whole: use every image as one patch, defective if it has a box; all images must have one size.
        names: classes that are defects; where any is named, others are refused.
        clean_names: classes of boxes that are not defects.
        missing: whether an image without XML file is an error, clean, or left out.
        unmatched: whether an XML file without image is an error, or left out.
        group_regex: finds the group in an image's name, see `grouping`.
        groups: CSV with the groups.
        progress: called with images done and in all.

    Raises:
        NoSourceImages: no image file in `images`.
        AnnotationMissing: an image has no XML file and `missing` is 'error'.
        AnnotationUnmatched: an XML file has no image and `unmatched` is 'error'.
        AnnotationAmbiguous: several XML files could belong to an image.
        AnnotationInvalid: an XML file is broken, declares entities, or has a box outside its image.
        ClassUndefined: a class is in neither list, or its name suggests that it is not a defect.
        SizesDiffer: the size in an XML file differs from the image's; with `whole`, images differ in size.
        SourceImageTooSmall: a patch is larger than an image.
        DatasetInvalid: several of these.
        OutputExists: `out` is not empty.
    """
    problems, record = Problems(), IngestRecord("voc")
    sources, storage = image_files(images), open_storage(annotations)
    files = _files(sources, storage, problems, record, missing=missing, unmatched=unmatched)
    coarser = grouping(sources, regex=group_regex, table=groups)
    classes = _Classes(names, clean_names)

    first_size: tuple[int, ...] | None = None
    with new_dataset(out) as writer:
        cutter = Cutter(writer, rule, class_names=classes.named, record=record)
        for done, (name, file) in enumerate(files.items(), start=1):
            with problems.collected():
                source = sources.source_image(name)
                if source.rotated:
                    record.rotated.append(name)
                pixels, annotated = source.pixels, file is not None
                boxes: list[Box] = []
                if file is not None:
                    boxes = read_boxes(
                        storage.read(file), pixels.shape[:2], storage.location(file), rotated=source.rotated
                    )
                    boxes = classes.defects(boxes, file)
                if whole:
                    first_size = first_size or pixels.shape
                    if pixels.shape != first_size:
                        raise SizesDiffer(
                            f"{sources.address(name)} is {_size(pixels.shape)}, earlier images are "
                            f"{_size(first_size)}; with --whole, all images must have one size. Leave out --whole to cut patches."
                        )
                    kind = max(boxes, key=_area).name if boxes else None
                    cutter.add_whole(name, pixels, kind, annotated=annotated, metadata=coarser.metadata(name))
                else:
                    try:
                        mask = classes.mask(boxes, pixels.shape)
                        cutter.add(name, pixels, mask, annotated=annotated, metadata=coarser.metadata(name))
                    except SourceImageTooSmall as error:
                        raise SourceImageTooSmall(f"{sources.address(name)}: {error}.") from None
            if progress:
                progress(done, len(files))
        classes.judge(problems)
        problems.settle()
        record.by_value.clear()  # internal numbers, not values of a mask
        record.write(writer.folder)
    return cutter.summary(out)


def _files(
    sources: ImageFiles,
    storage: Storage,
    problems: Problems,
    record: IngestRecord,
    *,
    missing: Missing,
    unmatched: Unmatched,
) -> dict[str, str | None]:
    """Returns the XML file of every image to cut; `None` for one that is clean because it has none."""
    matches = match_files(list(sources), storage)
    for problem in matches.ambiguous.values():
        problems.add(problem)
    absent = [name for name in sources if name not in matches.files and name not in matches.ambiguous]
    found_none = (
        f"{len(absent)} of {len(sources)} images have no XML file of the same name in {storage.uri}{in_folders(absent)}: "
        f"{first_ten(absent)}."
    )
    if absent and len(absent) == len(sources):
        raise AnnotationMissing(f"{found_none} Check the folders, and the names of the files.")
    if absent and missing == "error":
        problems.add(
            AnnotationMissing(
                f"{found_none} Add them, or use --missing skip to leave these images out, --missing clean where no file means no defect."
            )
        )
    if matches.unmatched and unmatched == "error":
        problems.add(
            AnnotationUnmatched(
                f"{len(matches.unmatched):,} XML files belong to no image: {first_ten(matches.unmatched)}. Add the images, "
                "correct the names, or use --unmatched skip to leave these files out."
            )
        )
    elif matches.unmatched:
        record.left_out["XML files without photograph (--unmatched skip)"] = list(matches.unmatched)
    if absent and missing == "skip":
        record.left_out["photographs without XML file (--missing skip)"] = absent
    named = set(absent) if missing == "clean" else set()
    return {name: matches.files.get(name) for name in sources if name in matches.files or name in named}


class _Classes:
    """Classes of boxes: which are defects, their numbers in masks, and which are undefined."""

    def __init__(self, names: Collection[str], clean_names: Collection[str]) -> None:
        both = sorted(set(names) & set(clean_names))
        if both:
            raise ClassUndefined(f"{first_ten(both)} is in --names and in --clean-names; expected one of them.")
        for name in names:
            if names_no_defect(name):
                raise ClassUndefined(
                    f"--names has '{name}', which suggests that it is not a defect; use --clean-names {name}, or rename the class."
                )
        self.named: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._names, self._clean = frozenset(names), frozenset(clean_names)
        self._undefined: dict[str, list[str]] = {}

    def defects(self, boxes: Sequence[Box], file: str) -> list[Box]:
        """Returns the boxes that are defects, and collects undefined classes."""
        for box in boxes:
            known = box.name in self._names or box.name in self._clean
            if not known and (self._names or names_no_defect(box.name)):
                files = self._undefined.setdefault(box.name, [])
                if file not in files[-1:]:
                    files.append(file)
        return [box for box in boxes if box.name not in self._clean]

    def mask(self, boxes: Sequence[Box], shape: tuple[int, ...]) -> np.ndarray:
        """Returns the boxes as a mask, int32 (height, width); smaller ones are drawn last, so that larger ones do not hide them."""
        mask = np.zeros(shape[:2], dtype=np.int32)
        for box in sorted(boxes, key=_area, reverse=True):
            number = self._numbers.setdefault(box.name, len(self._numbers) + 1)
            self.named[number] = box.name
            mask[box.top : box.bottom, box.left : box.right] = number
        return mask

    def judge(self, problems: Problems) -> None:
        """Adds the problems that show only in the classes of all files together."""
        for name, files in self._undefined.items():
            if names_no_defect(name):
                why, otherwise = "does not sound like a defect", "or give the class another name"
            else:
                why, otherwise = "is not in --names", f"or name it: --names {','.join([*sorted(self._names), name])}"
            problems.add(
                ClassUndefined(
                    f"The class '{name}' of boxes in {len(files):,} files {why}: {first_ten(files)}. Use --clean-names "
                    f"{','.join([*sorted(self._clean), name])} where such a box is not a defect, {otherwise}."
                )
            )


def _area(box: Box) -> int:
    return (box.right - box.left) * (box.bottom - box.top)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]} pixels {'RGB' if len(shape) == 3 else 'grey'}"
