"""The format of Kaggle's 'Severstal: Steel Defect Detection': photographs and a CSV of run lengths."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from steel_training.data.dataset import new_dataset
from steel_training.errors import UsageError
from steel_training.ingest.csv_tables import read_csv
from steel_training.ingest.cut_rule import SEVERSTAL_RULE, CutRule
from steel_training.ingest.grouping import grouping
from steel_training.ingest.source_images import AmbiguousPhotograph, image_files
from steel_training.ingest.tiling import Cutter, IngestSummary, PhotographTooSmall, Progress

logger = logging.getLogger(__name__)


class RunLengthInvalid(UsageError):
    """A row of the CSV does not describe defect pixels of its photograph."""


def ingest_severstal(
    images: str,
    train_csv: str,
    out: str,
    *,
    rule: CutRule = SEVERSTAL_RULE,
    group_regex: str | None = None,
    groups: str | None = None,
    progress: Progress | None = None,
) -> IngestSummary:
    """Cuts photographs with run-length masks into a dataset.

    The CSV has the columns `ImageId,ClassId,EncodedPixels`, or the older `ImageId_ClassId,EncodedPixels`. Photographs
    that it does not name are clean. `defect_type` is the ClassId that covers most of a patch.

    Args:
        images: folder or S3 prefix of photographs.
        train_csv: file or `s3://` URI.
        out: folder or S3 prefix of the new dataset; must be empty.
        rule: how to cut and label.
        group_regex: tells the group from a photograph's name, see `grouping`.
        groups: CSV that tells it.
        progress: called with photographs done and in all.

    Raises:
        NoPhotographs: no image file in `images`.
        AmbiguousPhotograph: two subfolders hold a file of the same name.
        TableInvalid: the CSV is missing or lacks its columns.
        RunLengthInvalid: a row cannot be read, leaves its photograph, or no row names a photograph in `images`.
        PhotographTooSmall: a patch is larger than a photograph.
        OutputExists: there is something at `out` already.
    """
    photographs = image_files(images)
    runs = _read_runs(train_csv)
    by_file: dict[str, str] = {}
    for name, key in photographs.keys.items():
        if by_file.setdefault(PurePosixPath(key).name, name) != name:
            raise AmbiguousPhotograph(
                f"{images} holds two photographs '{PurePosixPath(key).name}' in different subfolders; "
                f"{train_csv} cannot tell them apart. Rename or remove one."
            )
    absent = [image for image in runs if image not in by_file]
    if runs and len(absent) == len(runs):
        raise RunLengthInvalid(
            f"{train_csv} names no photograph in {images}: it has '{absent[0]}', the folder '{min(by_file)}'. "
            "The column ImageId must hold file names with their suffix."
        )
    if absent:
        logger.warning("%d photographs of %s are not in %s and are left out", len(absent), train_csv, images)
    coarser = grouping(photographs, regex=group_regex, table=groups)

    with new_dataset(out) as writer:
        cutter = Cutter(writer, rule)
        for done, (image, name) in enumerate(by_file.items(), start=1):
            # Kaggle's photographs are grey, stored as RGB: a third of the bytes says the same.
            photograph = np.asarray(Image.fromarray(photographs.photograph(name)).convert("L"))
            mask = np.zeros(photograph.shape, dtype=np.uint8)
            for row, class_id, encoded in runs.get(image, ()):
                try:
                    mask[decode_run_length(encoded, mask.shape)] = class_id
                except RunLengthInvalid as error:
                    raise RunLengthInvalid(f"{train_csv}, row {row} ({image}, class {class_id}): {error}") from None
            try:
                cutter.add(name, photograph, mask, metadata=coarser.metadata(name))
            except PhotographTooSmall as error:
                raise PhotographTooSmall(f"{photographs.address(name)}: {error}.") from None
            if progress:
                progress(done, len(by_file))
    return cutter.summary(out)


def decode_run_length(encoded: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the pixels that a run-length text marks.

    Args:
        encoded: pairs 'start length …'; pixels are counted from 1, down the columns, left to right.
        shape: (height, width) of the photograph.

    Returns:
        bool, (height, width).

    Raises:
        RunLengthInvalid: no pairs of whole numbers, or a run that leaves the photograph.
    """
    words = encoded.split()
    height, width = shape
    if len(words) % 2:
        raise RunLengthInvalid(f"EncodedPixels has {len(words)} numbers; expected pairs 'start length'.")
    try:
        starts, lengths = np.array([int(word) for word in words], dtype=np.int64).reshape(-1, 2).T
    except (ValueError, OverflowError):
        raise RunLengthInvalid(f"EncodedPixels is {encoded[:40]!r}; expected whole numbers 'start length …'.") from None
    area = height * width
    # Compared without adding, which could overflow on absurd numbers.
    bad = np.flatnonzero((starts < 1) | (lengths < 1) | (starts > area) | (lengths > area - starts + 1))
    if bad.size:
        start, length = int(starts[bad[0]]), int(lengths[bad[0]])
        raise RunLengthInvalid(
            f"the run '{start} {length}' leaves the photograph of {width}×{height} = {area} pixels; "
            "runs start at 1 and are at least 1 long."
        )
    # +1 where a run begins, −1 behind its end; the running sum is positive inside, overlapping runs included.
    steps = np.zeros(area + 1, dtype=np.int32)
    np.add.at(steps, starts - 1, 1)
    np.add.at(steps, starts - 1 + lengths, -1)
    return (np.cumsum(steps[:-1]) > 0).reshape((height, width), order="F")


def _read_runs(train_csv: str) -> dict[str, list[tuple[int, int, str]]]:
    """Returns (row, class, run lengths) of every photograph that the CSV names; row 2 is the first below the header."""
    table = read_csv(train_csv, ("EncodedPixels",))
    if "ImageId" in table and "ClassId" in table:
        images, classes = table["ImageId"], table["ClassId"]
    elif "ImageId_ClassId" in table:
        parts = table["ImageId_ClassId"].str.rpartition("_")
        images, classes = parts[0], parts[2]
    else:
        raise RunLengthInvalid(
            f"{train_csv} has the columns {', '.join(table.columns)}; expected ImageId, ClassId, EncodedPixels "
            "(or ImageId_ClassId, EncodedPixels)."
        )
    runs: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for row, (image, class_id, encoded) in enumerate(zip(images, classes, table["EncodedPixels"], strict=True), 2):
        number = class_id.strip()
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= 255) or not image.strip():
            raise RunLengthInvalid(
                f"{train_csv}, row {row}: photograph {image!r}, class {class_id!r}; expected a file name and a class from 1 to 255."
            )
        # The older form has a row for every class of every photograph; an empty one says that there is no such defect.
        entry = runs[image.strip()]
        if encoded.strip():
            entry.append((row, int(number), encoded))
    return dict(runs)
