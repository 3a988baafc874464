"""Photographs and pixel masks of the same name become a dataset."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from steel_training.data.dataset import new_dataset
from steel_training.errors import UsageError
from steel_training.ingest.cut_rule import CutRule
from steel_training.ingest.grouping import grouping
from steel_training.ingest.mask_values import MaskInvalid, MaskValues
from steel_training.ingest.problems import Problems, first_ten, in_folders
from steel_training.ingest.record import IngestRecord, Missing, Unmatched
from steel_training.ingest.source_images import ImageFiles, composed, image_files
from steel_training.ingest.tiling import Cutter, IngestSummary, PhotographTooSmall, Progress, SizesDiffer

__all__ = ["MaskInvalid", "MaskMissing", "MaskUnmatched", "ingest_masks"]


class MaskMissing(UsageError):
    """A photograph has no mask."""


class MaskUnmatched(UsageError):
    """A mask belongs to no photograph."""


def ingest_masks(
    images: str,
    masks: str,
    out: str,
    *,
    rule: CutRule | None = None,
    names: Mapping[int, str] | None = None,
    clean_values: Collection[int] | None = None,
    ignore_values: Collection[int] = (),
    missing: Missing = "error",
    unmatched: Unmatched = "error",
    keep_defective: float = 1.0,
    seed: int = 0,
    group_regex: str | None = None,
    groups: str | None = None,
    progress: Progress | None = None,
) -> IngestSummary:
    """Cuts photographs with pixel masks into a dataset.

    A photograph and its mask have the same path below their folders, but for the suffix. In a mask, 0 is clean and any
    other value is a class of defect, which `defect_type` tells.

    Args:
        images: folder or S3 prefix of photographs (PNG, JPEG, BMP, TIFF; 8-bit grey or RGB).
        masks: folder or S3 prefix of masks (PNG, BMP, TIFF; one number a pixel; palettes are read by index).
        out: folder or S3 prefix of the new dataset; must be empty.
        rule: how to cut and label; the default cuts 64 pixels, clean at 0 %, defective from 2 %.
        names: name of a mask value. Where any is named, every value must be named, clean or ignored; without names, values are
            named by their number.
        clean_values: mask values that are clean; `None` is 0, unless the masks look inverted.
        ignore_values: mask values of which nobody said what they are; a patch of which they could make a defective one is dropped.
        missing: what a photograph without mask is: an error, clean, or left out.
        unmatched: what a mask without photograph is: an error, or left out.
        keep_defective: share of the defective patches to keep, for a clean majority.
        seed: of that choice.
        group_regex: tells the group from a photograph's name, see `grouping`.
        groups: CSV that tells it.
        progress: called with photographs done and in all.

    Raises:
        NoPhotographs: no image file in `images` or `masks`.
        MaskMissing: a photograph has no mask.
        MaskUnmatched: a mask has no photograph.
        MaskInvalid: a mask is a JPEG, an RGB picture or a photograph, has a value that nobody defined, or is inverted.
        SizesDiffer: photograph and mask differ in size.
        PhotographTooSmall: a patch is larger than a photograph.
        DatasetInvalid: several of these.
        OutputExists: there is something at `out` already.
    """
    values = MaskValues(names or {}, clean_values, ignore_values)
    photographs = image_files(images)
    found = image_files(masks, what="mask")
    _refuse_own_masks(photographs, found, images, masks)
    coarser = grouping(photographs, regex=group_regex, table=groups)

    problems, record = Problems(), IngestRecord("masks")
    pairs = _pairs(photographs, found, problems, record, missing=missing, unmatched=unmatched, where=masks)
    with new_dataset(out) as writer:
        cutter = Cutter(
            writer,
            rule or CutRule(),
            class_names=values.class_names,
            keep_defective=keep_defective,
            seed=seed,
            record=record,
        )
        for done, (name, mask) in enumerate(pairs.items(), start=1):
            with problems.collected():
                photograph = photographs.photograph(name)
                if photograph.turned:
                    record.turned.append(name)
                shape = photograph.pixels.shape[:2]
                classes = np.zeros(shape, np.int32) if mask is None else values.read(_read_mask(found, mask), mask)
                try:
                    cutter.add(
                        name,
                        photograph.pixels,
                        classes,
                        annotated=mask is not None,
                        metadata=coarser.metadata(name),
                    )
                except (SizesDiffer, PhotographTooSmall) as error:
                    raise type(error)(f"{photographs.address(name)}: {error}.") from None
            if progress:
                progress(done, len(pairs))
        values.judge(problems)
        problems.settle()
        values.restore(record)
        record.write(writer.folder)
    return cutter.summary(out)


def _refuse_own_masks(photographs: ImageFiles, found: ImageFiles, images: str, masks: str) -> None:
    own = {photographs.address(name) for name in photographs} & {found.address(name) for name in found}
    if own:
        raise MaskInvalid(
            f"{len(own):,} files are below {images} and below {masks}: {first_ten(sorted(own))}. A photograph would be its own mask, "
            "or a mask a photograph. Put photographs and masks into folders of their own, under the same names."
        )


def _pairs(
    photographs: ImageFiles,
    found: ImageFiles,
    problems: Problems,
    record: IngestRecord,
    *,
    missing: Missing,
    unmatched: Unmatched,
    where: str,
) -> dict[str, str | None]:
    """Returns the mask of every photograph that is to be taken; `None` for one that is clean because it has none."""
    masks = {composed(name): name for name in found}
    pairs = {name: masks.get(composed(name)) for name in photographs}
    absent = [name for name, mask in pairs.items() if mask is None]
    told = (
        f"{len(absent):,} of {len(photographs):,} photographs have no mask of the same name in {where}{in_folders(absent)}: "
        f"{first_ten(absent)}."
    )
    if len(absent) == len(photographs):
        raise MaskMissing(f"{told} Check the folders: a mask has the path of its photograph below its own folder.")
    if absent and missing == "error":
        problems.add(
            MaskMissing(
                f"{told} Add them (the mask of a photograph without defects is all zero), or say --missing skip to leave these "
                "photographs out, --missing clean where no mask means no defect."
            )
        )
    unused = sorted(set(found) - {mask for mask in pairs.values() if mask is not None})
    if unused and unmatched == "error":
        problems.add(
            MaskUnmatched(
                f"{len(unused):,} of {len(found):,} masks belong to no photograph: {first_ten(unused)}. Correct their names, or say "
                "--unmatched skip to leave them out."
            )
        )
    elif unused:
        record.left_out["masks without photograph (--unmatched skip)"] = unused
    if missing != "clean":
        if absent:
            record.left_out["photographs without mask (--missing skip)"] = absent
        pairs = {name: mask for name, mask in pairs.items() if mask is not None}
    return pairs


def _read_mask(masks: ImageFiles, name: str) -> np.ndarray:
    """Returns a mask as integers, (height, width)."""
    address = masks.address(name)
    if masks.suffix(name) in {".jpg", ".jpeg"}:
        raise MaskInvalid(
            f"{address} is a JPEG: its compression invents defect pixels along every edge. Save masks as PNG."
        )
    pixels = np.asarray(masks.image(name))
    if pixels.ndim == 3 and pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if pixels.ndim != 2 or pixels.dtype.kind not in "bui":
        raise MaskInvalid(
            f"{address} is a colour picture; expected one number a pixel, 0 for clean and a class of defect elsewhere."
        )
    return pixels.astype(np.int32)
