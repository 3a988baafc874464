"""Photographs and pixel masks of the same name become a dataset."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from steel_training.data.dataset import new_dataset
from steel_training.errors import UsageError
from steel_training.ingest.cut_rule import CutRule
from steel_training.ingest.grouping import grouping
from steel_training.ingest.source_images import ImageFiles, image_files
from steel_training.ingest.tiling import Cutter, IngestSummary, PhotographTooSmall, Progress, SizesDiffer

logger = logging.getLogger(__name__)

_EXAMPLES = 3


class MaskMissing(UsageError):
    """A photograph has no mask."""


class MaskInvalid(UsageError):
    """A mask does not hold one class number a pixel."""


def ingest_masks(
    images: str,
    masks: str,
    out: str,
    *,
    rule: CutRule | None = None,
    names: Mapping[int, str] | None = None,
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
        names: name of a mask value; other values are named by their number.
        keep_defective: share of the defective patches to keep, for a clean majority.
        seed: of that choice.
        group_regex: tells the group from a photograph's name, see `grouping`.
        groups: CSV that tells it.
        progress: called with photographs done and in all.

    Raises:
        NoPhotographs: no image file in `images` or `masks`.
        MaskMissing: a photograph has no mask.
        MaskInvalid: a mask is a JPEG or an RGB picture.
        SizesDiffer: photograph and mask differ in size.
        PhotographTooSmall: a patch is larger than a photograph.
        OutputExists: there is something at `out` already.
    """
    photographs = image_files(images)
    found = image_files(masks, what="mask")
    missing = [name for name in photographs if name not in found.keys]
    if missing:
        raise MaskMissing(
            f"{len(missing)} of {len(photographs)} photographs have no mask of the same name in {masks}: "
            f"{', '.join(missing[:_EXAMPLES])}{', …' if len(missing) > _EXAMPLES else ''}. "
            "Add them; the mask of a photograph without defects is all zero."
        )
    unused = len(found) - len(photographs)
    if unused:
        logger.warning("%d masks in %s belong to no photograph in %s and are left out", unused, masks, images)
    coarser = grouping(photographs, regex=group_regex, table=groups)

    with new_dataset(out) as writer:
        cutter = Cutter(writer, rule or CutRule(), class_names=names or {}, keep_defective=keep_defective, seed=seed)
        for done, name in enumerate(photographs, start=1):
            try:
                cutter.add(name, photographs.photograph(name), _read_mask(found, name), metadata=coarser.metadata(name))
            except (SizesDiffer, PhotographTooSmall) as error:
                raise type(error)(f"{photographs.address(name)}: {error}.") from None
            if progress:
                progress(done, len(photographs))
    return cutter.summary(out)


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
