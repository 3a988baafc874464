"""What a format of annotations gives to the skeleton of all formats, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steel_training.errors import UsageError
from steel_training.ingest.problems import Problems
from steel_training.ingest.regions import Region
from steel_training.ingest.source_images import SourceImage
from steel_training.ingest.tiling import SizesDiffer


class AnnotationInvalid(UsageError):
    """An annotation cannot be read as its format, or contradicts its image or itself."""


class AnnotationMissing(UsageError):
    """An image has no annotation."""


class AnnotationUnmatched(UsageError):
    """An annotation belongs to no image."""


class AnnotationAmbiguous(UsageError):
    """An image could have several annotations, or an annotation several images."""


@dataclass(frozen=True)
class Annotation:
    """What is known of one image before it is opened.

    Attributes:
        label: its name in messages.
        regions: reads the annotated regions; needs the image for its size. Raises `AnnotationInvalid` or `SizesDiffer`.
    """

    label: str
    regions: Callable[[SourceImage], Sequence[Region]]


@dataclass(frozen=True)
class Annotations:
    """The annotations of a dataset.

    Attributes:
        format: name of the format.
        noun: what an annotation of one image is, in the singular and in the plural.
        where: address, for messages.
        by_name: image as the annotation names it (path without suffix, with slashes, composed Unicode) → annotation.
        judge: adds problems that only show when all have been read.
    """

    format: str
    noun: tuple[str, str]
    where: str
    by_name: Mapping[str, Annotation]
    judge: Callable[[Problems], None] | None = None


def check_size(stated: tuple[int | None, ...], shape: tuple[int, ...], address: str, *, rotated: bool) -> None:
    """Compare the size that an annotation states with its image's; nothing is compared where a side is missing or 0.

    Args:
        stated: (width, height).
        shape: (height, width) of the image.
        address: of the annotation.
        rotated: whether the image's EXIF orientation was applied.

    Raises:
        SizesDiffer: naming the cause where it can be seen.
    """
    height, width = shape[:2]
    if not all(stated) or stated == (width, height):
        return
    found = f"{address} says {stated[0]}×{stated[1]} pixels, the image is {width}×{height}."
    if stated != (height, width):
        raise SizesDiffer(f"{found} Annotate the image as it is.")
    if rotated:
        raise SizesDiffer(
            f"{found} Its EXIF orientation was applied, as viewers do; the boxes were drawn on the pixels as stored. Store the pixels "
            "upright without the orientation, or annotate the image as shown."
        )
    raise SizesDiffer(
        f"{found} Width and height are swapped: the image was rotated after it was annotated, or before. Annotate it as it is."
    )
