"""Source images and pixel masks of the same name become a dataset."""

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
from steel_training.ingest.tiling import Cutter, IngestSummary, Progress, SizesDiffer, SourceImageTooSmall

__all__ = ["MaskInvalid", "MaskMissing", "MaskUnmatched", "ingest_masks"]


class MaskMissing(UsageError):
    """An image has no mask."""


class MaskUnmatched(UsageError):
    """A mask belongs to no image."""


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
    """Cuts source images with pixel masks into a dataset.

    An image and its mask have the same path below their folders, but for the suffix. In a mask, 0 is clean and any
    other value is a defect class, which goes into `defect_type`.

    Args:
        images: folder or S3 prefix of source images (PNG, JPEG, BMP, TIFF; 8-bit grey or RGB).
        masks: folder or S3 prefix of masks (PNG, BMP, TIFF; one number per pixel; palettes are read by index).
        out: folder or S3 prefix of the new dataset; must be empty.
        rule: how to cut and label; by default patches of 64 pixels, clean at 0 %, defective from 2 %.
        names: name of a mask value. Where any is named, every value must be named, clean or ignored; without names, values are
            named by their number.
        clean_values: mask values that are clean; `None` is 0, unless the masks look inverted.
        ignore_values: mask values that were not annotated; a patch that would be defective if they were defects is dropped.
        missing: whether an image without mask is an error, clean, or left out.
        unmatched: whether a mask without image is an error, or left out.
        keep_defective: share of the defective patches to keep, for a clean majority.
        seed: of that choice.
        group_regex: finds the group in an image's name, see `grouping`.
        groups: CSV with the groups.
        progress: called with images done and in all.

    Raises:
        NoSourceImages: no image file in `images` or `masks`.
        MaskMissing: an image has no mask.
        MaskUnmatched: a mask has no image.
        MaskInvalid: a mask is a JPEG or a colour image, has an undefined value, or is inverted.
        SizesDiffer: image and mask differ in size.
        SourceImageTooSmall: a patch is larger than an image.
        DatasetInvalid: several of these.
        OutputExists: `out` is not empty.
    """
    values = MaskValues(names or {}, clean_values, ignore_values)
    sources = image_files(images)
    found = image_files(masks, what="mask")
    _refuse_own_masks(sources, found, images, masks)
    coarser = grouping(sources, regex=group_regex, table=groups)

    problems, record = Problems(), IngestRecord("masks")
    pairs = _pairs(sources, found, problems, record, missing=missing, unmatched=unmatched, where=masks)
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
                source = sources.source_image(name)
                if source.rotated:
                    record.rotated.append(name)
                shape = source.pixels.shape[:2]
                classes = np.zeros(shape, np.int32) if mask is None else values.read(_read_mask(found, mask), mask)
                try:
                    cutter.add(
                        name,
                        source.pixels,
                        classes,
                        annotated=mask is not None,
                        metadata=coarser.metadata(name),
                    )
                except (SizesDiffer, SourceImageTooSmall) as error:
                    raise type(error)(f"{sources.address(name)}: {error}.") from None
            if progress:
                progress(done, len(pairs))
        values.judge(problems)
        problems.settle()
        values.restore(record)
        record.write(writer.folder)
    return cutter.summary(out)


def _refuse_own_masks(sources: ImageFiles, found: ImageFiles, images: str, masks: str) -> None:
    own = {sources.address(name) for name in sources} & {found.address(name) for name in found}
    if own:
        raise MaskInvalid(
            f"{len(own):,} files are below {images} and below {masks}: {first_ten(sorted(own))}. An image would be its own mask, "
            "or a mask an image. Put images and masks into separate folders, under the same names."
        )


def _pairs(
    sources: ImageFiles,
    found: ImageFiles,
    problems: Problems,
    record: IngestRecord,
    *,
    missing: Missing,
    unmatched: Unmatched,
    where: str,
) -> dict[str, str | None]:
    """Returns the mask of every image to cut; `None` for one that is clean because it has none."""
    masks = {composed(name): name for name in found}
    pairs = {name: masks.get(composed(name)) for name in sources}
    absent = [name for name, mask in pairs.items() if mask is None]
    found_none = (
        f"{len(absent):,} of {len(sources):,} images have no mask of the same name in {where}{in_folders(absent)}: "
        f"{first_ten(absent)}."
    )
    if len(absent) == len(sources):
        raise MaskMissing(f"{found_none} Check the folders: a mask has the path of its image below its own folder.")
    if absent and missing == "error":
        problems.add(
            MaskMissing(
                f"{found_none} Add them (the mask of an image without defects is all zero), or use --missing skip to leave these "
                "images out, --missing clean where no mask means no defect."
            )
        )
    unused = sorted(set(found) - {mask for mask in pairs.values() if mask is not None})
    if unused and unmatched == "error":
        problems.add(
            MaskUnmatched(
                f"{len(unused):,} of {len(found):,} masks belong to no image: {first_ten(unused)}. Correct their names, or use "
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
            f"{address} is a colour image; expected one number per pixel, 0 for clean and a defect class elsewhere."
        )
    return pixels.astype(np.int32)
