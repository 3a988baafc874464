"""Cuts the images of an ingest one by one: the loop that all formats share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from steel_training.data.grey_range import GreyRange
from steel_training.data.image_cut import ImageCut
from steel_training.ingest.grey_levels import GreyTally
from steel_training.ingest.grouping import grouping
from steel_training.ingest.problems import Problems
from steel_training.ingest.source_images import ImageFiles, SourceImage
from steel_training.ingest.tiling import Cutter, Progress, SizesDiffer, SourceImageTooSmall

# Makes the mask of an opened image: integers, (height, width); 0 is clean, above 0 a class, `tiling.IGNORED` neither.
MaskOf = Callable[[SourceImage], np.ndarray]


class Cutting:
    """The loop over the images of one ingest.

    Args:
        sources: all images of the folder.
        group_regex: finds the group in an image's name, see `grouping`.
        groups: CSV with the groups.
        whole: use every image as one patch.
        grey: store grey patches of colour images.
        grey_range: how grey values of more than 8 bits become 8 bits.
        progress: called with images done and in all.

    Raises:
        GroupingInvalid: an image has no group.
        TableInvalid: `groups` cannot be read.
    """

    def __init__(
        self,
        sources: ImageFiles,
        *,
        group_regex: str | None = None,
        groups: str | None = None,
        whole: bool = False,
        grey: bool = False,
        grey_range: GreyRange | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._sources, self._whole, self._grey, self._progress = sources, whole, grey, progress
        self._levels = GreyTally(grey_range)
        self._grouping = grouping(sources, regex=group_regex, table=groups)
        self._size: tuple[int, ...] | None = None

    def run(self, masks: Mapping[str, MaskOf | None], cutter: Cutter, problems: Problems) -> None:
        """Cut every image with its mask, and collect what is wrong with some.

        Args:
            masks: image → its mask; `None` for one that is clean because nothing names it.
            cutter: takes the patches.
            problems: to add to.
        """
        cutter.record.grey = self._levels
        rule = cutter.rule
        if not self._whole:
            cutter.record.cut = ImageCut(rule.patch, rule.stride, rule.cover_edges, rule.min_contrast, self._grey)
        for done, (name, mask_of) in enumerate(masks.items(), start=1):
            with problems.collected():
                self._cut(name, mask_of, cutter)
            if self._progress:
                self._progress(done, len(masks))
        self._levels.judge(problems)

    def _cut(self, name: str, mask_of: MaskOf | None, cutter: Cutter) -> None:
        source = self._sources.source_image(name, self._levels.grey_range)
        self._levels.add(name, source)
        if source.rotated:
            cutter.record.rotated.append(name)
        pixels = np.asarray(Image.fromarray(source.pixels).convert("L")) if self._grey else source.pixels
        mask = np.zeros(pixels.shape[:2], np.int32) if mask_of is None else mask_of(source)
        if self._whole:
            self._check_one_size(name, pixels)
        add = cutter.add_whole if self._whole else cutter.add
        try:
            add(name, pixels, mask, annotated=mask_of is not None, metadata=self._grouping.metadata(name))
        except (SizesDiffer, SourceImageTooSmall) as error:
            raise type(error)(f"{self._sources.address(name)}: {error}.") from None

    def _check_one_size(self, name: str, pixels: np.ndarray) -> None:
        self._size = self._size or pixels.shape
        if pixels.shape != self._size:
            raise SizesDiffer(
                f"{self._sources.address(name)} is {_size(pixels.shape)}, earlier images are {_size(self._size)}; whole images as "
                "patches must have one size. Cut patches instead (--patch without --whole), or scale the images to one size first."
            )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]} pixels {'RGB' if len(shape) == 3 else 'grey'}"
