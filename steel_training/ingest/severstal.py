"""The format of Kaggle's 'Severstal: Steel Defect Detection': source images and a CSV of run lengths."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from pathlib import PurePosixPath

import numpy as np

from steel_training.data.dataset import new_dataset
from steel_training.data.grey_range import GreyRange
from steel_training.errors import UsageError
from steel_training.ingest.csv_tables import read_csv
from steel_training.ingest.cut_images import Cutting, MaskOf
from steel_training.ingest.cut_rule import SEVERSTAL_RULE, CutRule
from steel_training.ingest.problems import Problems, first_ten, in_folders
from steel_training.ingest.record import IngestRecord, Missing, Unmatched
from steel_training.ingest.source_images import AmbiguousSourceImage, ImageFiles, SourceImage, composed, image_files
from steel_training.ingest.tiling import Cutter, IngestSummary, Progress

_NO_RUNS = frozenset({"", "nan", "none", "null", "-1"})


class RunLengthInvalid(UsageError):
    """A row of the CSV does not describe defect pixels of its image."""


class RowMissing(UsageError):
    """An image has no row in the CSV."""


class RowUnmatched(UsageError):
    """A row belongs to no image."""


def ingest_severstal(
    images: str,
    train_csv: str,
    out: str,
    *,
    rule: CutRule = SEVERSTAL_RULE,
    missing: Missing = "error",
    unmatched: Unmatched = "error",
    grey_range: GreyRange | None = None,
    group_regex: str | None = None,
    groups: str | None = None,
    progress: Progress | None = None,
) -> IngestSummary:
    """Cut source images with run-length masks into a dataset.

    The CSV has the columns `ImageId,ClassId,EncodedPixels`, or the older `ImageId_ClassId,EncodedPixels`. A row without
    run lengths (empty, `nan` or `-1`) means that there is no such defect. Kaggle's file lists defective images only;
    `missing` decides what the others are. `defect_type` is the ClassId that covers most of a patch.

    Args:
        images: folder or S3 prefix of source images.
        train_csv: file or `s3://` URI.
        out: folder or S3 prefix of the new dataset; must be empty.
        rule: how to cut and label.
        missing: whether an image without row is an error, clean, or left out.
        unmatched: whether a row without image is an error, or left out.
        grey_range: how grey values of more than 8 bits become 8 bits; without it such an image is an error.
        group_regex: finds the group in an image's name, see `grouping`.
        groups: CSV with the groups.
        progress: called with images done and in all.

    Raises:
        NoSourceImages: no image file in `images`.
        AmbiguousSourceImage: two subfolders hold a file of the same name.
        TableInvalid: the CSV is missing or lacks its columns.
        RunLengthInvalid: a row cannot be read, contradicts another, leaves its image, or none belongs to an image in `images`.
        RowMissing: an image has no row.
        RowUnmatched: a row belongs to no image.
        SourceImageTooSmall: a patch is larger than an image.
        GreyRangeMissing: images have more than 8 bits, and `grey_range` is not given.
        GreyRangeUnused: images have 8 bits, and it is given.
        DatasetInvalid: several of these.
        OutputExists: `out` is not empty.
    """
    problems, record = Problems(), IngestRecord("severstal")
    sources = image_files(images)
    by_file = _by_file(sources, images, train_csv)
    runs = _read_runs(train_csv, problems)
    if runs and not set(runs) & set(by_file):
        raise RunLengthInvalid(
            f"{train_csv} lists no image of {images}: it has '{next(iter(runs))}', the folder '{min(by_file)}'. "
            "The column ImageId must hold file names with suffix."
        )
    taken = _taken(by_file, runs, problems, record, missing=missing, unmatched=unmatched, where=train_csv)
    masks: dict[str, MaskOf | None] = {
        name: partial(_mask, runs[image], f"{train_csv}, row {{}} ({image}, class {{}})") if image in runs else None
        for image, name in taken.items()
    }
    # Kaggle's images are grey, stored as RGB: one channel holds the same in a third of the bytes.
    cutting = Cutting(
        sources, grey_range=grey_range, group_regex=group_regex, groups=groups, grey=True, progress=progress
    )
    with new_dataset(out) as writer:
        cutter = Cutter(writer, rule, record=record)
        cutting.run(masks, cutter, problems)
        problems.settle()
        record.write(writer.folder)
    return cutter.summary(out)


def _mask(rows: list[tuple[int, int, str]], place: str, source: SourceImage) -> np.ndarray:
    mask = np.zeros(source.pixels.shape[:2], dtype=np.uint8)
    for row, class_id, encoded in rows:
        try:
            mask[decode_run_length(encoded, mask.shape)] = class_id
        except RunLengthInvalid as error:
            raise RunLengthInvalid(f"{place.format(row, class_id)}: {error}") from None
    return mask


def _by_file(sources: ImageFiles, images: str, train_csv: str) -> dict[str, str]:
    """Return images by file name, as the CSV names them."""
    by_file: dict[str, str] = {}
    for name, key in sources.keys.items():
        file = composed(PurePosixPath(key).name)
        if by_file.setdefault(file, name) != name:
            raise AmbiguousSourceImage(
                f"{images} holds two images '{PurePosixPath(key).name}' in different subfolders; "
                f"{train_csv} cannot distinguish them. Rename or remove one."
            )
    return by_file


def _taken(
    by_file: dict[str, str],
    runs: dict[str, list[tuple[int, int, str]]],
    problems: Problems,
    record: IngestRecord,
    *,
    missing: Missing,
    unmatched: Unmatched,
    where: str,
) -> dict[str, str]:
    """Return the images to cut, by file name."""
    absent = [image for image in runs if image not in by_file]
    if absent and unmatched == "error":
        problems.add(
            RowUnmatched(
                f"{where} lists {len(absent):,} images that do not exist: {first_ten(absent)}. Add them, or use --unmatched skip "
                "to leave their rows out."
            )
        )
    elif absent:
        record.left_out["rows without image (--unmatched skip)"] = absent
    unnamed = [name for image, name in by_file.items() if image not in runs]
    if unnamed and missing == "error":
        problems.add(
            RowMissing(
                f"{where} has no row for {len(unnamed):,} of {len(by_file):,} images{in_folders(unnamed)}: {first_ten(unnamed)}. Kaggle's "
                "file lists defective images only: use --missing clean where no row means no defect (not for its test images), "
                "or --missing skip to leave them out."
            )
        )
    if unnamed and missing == "skip":
        record.left_out["images without row (--missing skip)"] = unnamed
    return by_file if missing == "clean" else {image: name for image, name in by_file.items() if image in runs}


def decode_run_length(encoded: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the mask that a run-length text encodes.

    Args:
        encoded: pairs 'start length …'; pixels are counted from 1, down the columns, left to right.
        shape: (height, width) of the image.

    Returns:
        bool, (height, width).

    Raises:
        RunLengthInvalid: not pairs of integers, or a run leaves the image.
    """
    words = encoded.split()
    height, width = shape
    if len(words) % 2:
        raise RunLengthInvalid(f"EncodedPixels has {len(words)} numbers; expected pairs 'start length'.")
    try:
        starts, lengths = np.array([int(word) for word in words], dtype=np.int64).reshape(-1, 2).T
    except (ValueError, OverflowError):
        raise RunLengthInvalid(f"EncodedPixels is {encoded[:40]!r}; expected integers 'start length …'.") from None
    area = height * width
    # Compared without adding, which could overflow.
    bad = np.flatnonzero((starts < 1) | (lengths < 1) | (starts > area) | (lengths > area - starts + 1))
    if bad.size:
        start, length = int(starts[bad[0]]), int(lengths[bad[0]])
        raise RunLengthInvalid(
            f"the run '{start} {length}' leaves the image of {width}×{height} = {area} pixels; "
            "runs start at 1 and are at least 1 long."
        )
    # +1 where a run begins, −1 behind its end; the running sum is positive inside, overlapping runs included.
    steps = np.zeros(area + 1, dtype=np.int32)
    np.add.at(steps, starts - 1, 1)
    np.add.at(steps, starts - 1 + lengths, -1)
    return (np.cumsum(steps[:-1]) > 0).reshape((height, width), order="F")


def _read_runs(train_csv: str, problems: Problems) -> dict[str, list[tuple[int, int, str]]]:
    """Return (row, class, run lengths) of every image in the CSV; row 2 is the first below the header.

    Rows that cannot be read become problems.
    """
    table = read_csv(train_csv, ("EncodedPixels",), known=("ImageId", "ClassId", "ImageId_ClassId"))
    if "ImageId" in table and "ClassId" in table:
        images, classes = table["ImageId"], table["ClassId"]
    elif "ImageId_ClassId" in table:
        columns = table["ImageId_ClassId"].str.rpartition("_")
        images, classes = columns[0], columns[2]
    else:
        raise RunLengthInvalid(
            f"{train_csv} has the columns {', '.join(table.columns)}; expected ImageId, ClassId, EncodedPixels "
            "(or ImageId_ClassId, EncodedPixels)."
        )
    runs: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    clean: dict[tuple[str, int | None], int] = {}
    for row, (image, class_id, encoded) in enumerate(zip(images, classes, table["EncodedPixels"], strict=True), 2):
        name, no_defect = composed(image.strip()), encoded.strip().lower() in _NO_RUNS
        number = _class_number(class_id)
        if not name or (number is None and not (no_defect and class_id.strip().lower() in _NO_RUNS)):
            problems.add(
                RunLengthInvalid(
                    f"{train_csv}, row {row}: image {image!r}, class {class_id!r}; expected a file name and a class from 1 to 255."
                )
            )
            continue
        # The older form has a row for every class of every image; an empty one means that there is no such defect.
        entry = runs[name]
        if no_defect:
            clean[name, number] = row
        elif number is not None:
            entry.append((row, number, encoded))
    for (name, number), row in clean.items():
        other = next((other for other, found, _ in runs[name] if number in (None, found)), None)
        if other is not None:
            problems.add(
                RunLengthInvalid(
                    f"{train_csv}, row {row} gives {name} no defect{f' of class {number}' if number else ''}, but row {other} gives it one. "
                    "Remove the wrong one."
                )
            )
    return dict(runs)


def _class_number(text: str) -> int | None:
    """Read a class from 1 to 255; `3.0` is what pandas makes of 3 in a column with gaps."""
    digits = re.fullmatch(r"([0-9]{1,3})(?:\.0*)?", text.strip())
    return int(digits[1]) if digits and 1 <= int(digits[1]) <= 255 else None
