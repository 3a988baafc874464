"""The options that every format of annotated regions takes."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypedDict

from steel_training.data.grey_range import GreyRange
from steel_training.ingest.cut_rule import CutRule
from steel_training.ingest.record import Missing, Unmatched
from steel_training.ingest.tiling import Progress


class IngestOptions(TypedDict, total=False):
    """Options of `ingest_coco`, `ingest_yolo`, `ingest_labelme`, `ingest_voc`, `ingest_cvat` and `ingest_labelstudio`.

    Attributes:
        rule: how to cut and label, by the share of a patch that regions cover.
        whole: use every image as one patch, defective if it has a region; all images must have one size.
        names: classes that are defects; where any is named, others are refused.
        clean_names: classes of regions that are not defects.
        missing: whether an image without annotation is an error (the default), clean, or left out.
        unmatched: whether an annotation without image is an error (the default), or left out.
        grey_range: how grey values of more than 8 bits become 8 bits; without it such an image is an error.
        group_regex: finds the group in an image's name, see `grouping`.
        groups: CSV with the groups.
        progress: called with images done and in all.
    """

    rule: CutRule
    whole: bool
    names: Collection[str]
    clean_names: Collection[str]
    missing: Missing
    unmatched: Unmatched
    grey_range: GreyRange | None
    group_regex: str | None
    groups: str | None
    progress: Progress | None
