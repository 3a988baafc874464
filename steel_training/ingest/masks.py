"""Source images and pixel masks of the same name become a dataset."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import numpy as np

from steel_training.data.dataset import new_dataset
from steel_training.data.grey_range import GreyRange
from steel_training.errors import UsageError
from steel_training.ingest.cut_images import Cutting
from steel_training.ingest.cut_rule import CutRule
from steel_training.ingest.mask_names import MaskNames, likely_suffix
from steel_training.ingest.mask_values import MaskInvalid, MaskValues
from steel_training.ingest.problems import Problems, first_ten, in_folders
from steel_training.ingest.record import IngestRecord, Missing, Unmatched
from steel_training.ingest.source_images import ImageFiles, SourceImage, composed, image_files
from steel_training.ingest.tiling import Cutter, IngestSummary, Progress

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
    mask_suffix: str = "",
    mask_folder: str = "",
    missing: Missing = "error",
    unmatched: Unmatched = "error",
    keep_defective: float = 1.0,
    seed: int = 0,
    grey_range: GreyRange | None = None,
    group_regex: str | None = None,
    groups: str | None = None,
    progress: Progress | None = None,
) -> IngestSummary:
    """Cut source images with pixel masks into a dataset.

    An image and its mask have the same path below their folders, but for the file's suffix and for `mask_suffix` and `mask_folder`. In a mask, 0 is clean and any
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
        mask_suffix: end of a mask's name that its image has not, such as `_GT` or `_mask`. Images and masks may then share a folder.
        mask_folder: `images=masks` where the mask of `a/images/1.png` is `a/masks/1.png`; both folders may then be `a`.
        missing: whether an image without mask is an error, clean, or left out.
        unmatched: whether a mask without image is an error, or left out.
        keep_defective: share of the defective patches to keep, for a clean majority.
        seed: of that choice.
        grey_range: how grey values of more than 8 bits become 8 bits; without it such an image is an error.
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
        GreyRangeMissing: images have more than 8 bits, and `grey_range` is not given.
        GreyRangeUnused: images have 8 bits, and it is given.
        DatasetInvalid: several of these.
        OutputExists: `out` is not empty.
    """
    values = MaskValues(names or {}, clean_values, ignore_values)
    naming, problems, record = MaskNames(mask_suffix, mask_folder), Problems(), IngestRecord("masks")
    sources, found = _images_and_masks(images, masks, naming)
    pairs = _pairs(sources, found, naming, problems, record, missing=missing, unmatched=unmatched, where=masks)
    cutting = Cutting(sources, grey_range=grey_range, group_regex=group_regex, groups=groups, progress=progress)
    with new_dataset(out) as writer:
        cutter = Cutter(
            writer,
            rule or CutRule(),
            class_names=values.class_names,
            keep_defective=keep_defective,
            seed=seed,
            record=record,
        )
        cutting.run(
            {name: None if mask is None else partial(_mask, values, found, mask) for name, mask in pairs.items()},
            cutter,
            problems,
        )
        values.judge(problems)
        problems.settle()
        values.restore(record)
        record.write(writer.folder)
    return cutter.summary(out)


def _mask(values: MaskValues, found: ImageFiles, name: str, _: SourceImage) -> np.ndarray:
    return values.read(read_mask(found, name), name)


def _images_and_masks(images: str, masks: str, naming: MaskNames) -> tuple[ImageFiles, ImageFiles]:
    """Return the images, and the masks; with a naming, both may be in one folder."""
    sources, found = image_files(images), image_files(masks, what="mask")
    if naming:
        own = {found.address(name) for name in found if naming.is_mask(name)}
        sources = sources.only(name for name in sources if sources.address(name) not in own)
        photographed = {sources.address(name) for name in sources}
        found = found.only(name for name in found if found.address(name) not in photographed)
        if not own or not sources:
            raise MaskInvalid(
                f"{masks} holds {len(own):,} masks and {images} {len(sources):,} images where masks are named by "
                f"--mask-suffix '{naming.suffix}' --mask-folder '{naming.folder}'; expected both. Correct these options."
            )
        return sources, found
    both = {sources.address(name) for name in sources} & {found.address(name) for name in found}
    if both:
        suffix = likely_suffix(sources, found)
        advice = (
            f"Masks seem to be named NAME{suffix}: use --mask-suffix {suffix}."
            if suffix
            else "Use --mask-suffix _GT where masks are named NAME_GT, --mask-folder images=masks where a folder differs, or put images and "
            "masks into separate folders, under the same names."
        )
        raise MaskInvalid(
            f"{len(both):,} files are below {images} and below {masks}: {first_ten(sorted(both))}. An image would be its own mask, "
            f"or a mask an image. {advice}"
        )
    return sources, found


def _pairs(
    sources: ImageFiles,
    found: ImageFiles,
    naming: MaskNames,
    problems: Problems,
    record: IngestRecord,
    *,
    missing: Missing,
    unmatched: Unmatched,
    where: str,
) -> dict[str, str | None]:
    """Return the mask of every image to cut; `None` for one that is clean because it has none."""
    masks = {composed(name): name for name in found}
    pairs = {name: masks.get(composed(naming.mask_of(name))) for name in sources}
    absent = [name for name, mask in pairs.items() if mask is None]
    of_name = "of its name" if naming else "of the same name"
    found_none = (
        f"{len(absent):,} of {len(sources):,} images have no mask {of_name} in {where}{in_folders(absent)}: "
        f"{first_ten(absent)}."
    )
    if len(absent) == len(sources):
        suffix = None if naming else likely_suffix(sources, found)
        advice = f" Masks seem to be named NAME{suffix}: use --mask-suffix {suffix}." if suffix else ""
        raise MaskMissing(
            f"{found_none}{advice} Check the folders: a mask has the path of its image below its own folder, but for --mask-suffix and "
            "--mask-folder."
        )
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
        record.left_out["masks without image (--unmatched skip)"] = unused
    if missing != "clean":
        if absent:
            record.left_out["images without mask (--missing skip)"] = absent
        pairs = {name: mask for name, mask in pairs.items() if mask is not None}
    return pairs


def read_mask(masks: ImageFiles, name: str) -> np.ndarray:
    """Return a mask as integers, (height, width)."""
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
