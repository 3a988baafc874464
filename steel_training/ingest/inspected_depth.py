"""What `ingest inspect` says of images of more than 8 bits: it decodes a few of each folder, since reading all would take hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from steel_training.data.grey_range import GreyRange
from steel_training.ingest.source_images import ImageFiles, SourceImageUnreadable
from steel_training.storage import Storage

_OF_A_FOLDER, _FOLDERS = 3, 10
# All values of 16 bits, so that nothing is clipped while the lowest and the highest are looked for.
_WHOLE = GreyRange(0, 65_535)


@dataclass(frozen=True)
class Depth:
    """What the decoded images had.

    Attributes:
        decoded: how many there were.
        deep: how many of them had more than 8 bits.
        bits: of these, per pixel.
        lowest: value in them.
        highest: value in them.
    """

    decoded: int
    deep: int
    bits: tuple[int, ...]
    lowest: int
    highest: int

    @property
    def suggested(self) -> GreyRange:
        """The whole range of the sensor that the values fit."""
        return GreyRange.of_sensor(self.highest)

    def __str__(self) -> str:
        some = f"{self.deep:,} of {self.decoded:,} images that were decoded have {' and '.join(map(str, self.bits))} bits per pixel"
        if self.deep < self.decoded:
            return f"{some}: ingest those of 8 bits apart, since the bits of an image must not give its label away"
        return f"{some}, with values from {self.lowest:,} to {self.highest:,}: {self.suggested.advice}"


def inspected_depth(storage: Storage, images: Sequence[str]) -> Depth | None:
    """Decode a few images of each folder.

    Args:
        storage: of the images.
        images: keys, without masks.

    Returns:
        What they had; `None` where all have 8 bits.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for key in images:
        folders[str(PurePosixPath(key).parent)].append(key)
    files = ImageFiles(storage, {key: key for key in images})
    found = []
    for keys in list(folders.values())[:_FOLDERS]:
        for key in keys[:: max(1, len(keys) // _OF_A_FOLDER)][:_OF_A_FOLDER]:
            try:
                found.append(files.source_image(key, _WHOLE).levels)
            except SourceImageUnreadable:
                continue  # `ingest` names it
    deep = [levels for levels in found if levels is not None]
    if not deep:
        return None
    return Depth(
        decoded=len(found),
        deep=len(deep),
        bits=tuple(sorted({levels.bits for levels in deep})),
        lowest=min(levels.lowest for levels in deep),
        highest=max(levels.highest for levels in deep),
    )
