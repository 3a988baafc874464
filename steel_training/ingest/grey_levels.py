"""What an ingest found in images of more than 8 bits: what the stated grey range clipped, and where no range was stated."""

from __future__ import annotations

import numpy as np

from steel_training.data.grey_range import GreyRange, as_record
from steel_training.errors import UsageError
from steel_training.ingest.problems import Problems, first_ten
from steel_training.ingest.source_images import GreyLevels, GreyRangeMissing, SourceImage
from steel_training.storage.json_types import Json

# Images are read and checked by it where no range is stated; nothing is written then.
_PROVISIONAL = GreyRange(0, 65_535)
_ONE_KIND = "Ingest images of one kind only, since the bits of an image must not give its label away."


class GreyRangeUnused(UsageError):
    """A grey range is stated, and images have 8 bits."""


class GreyTally:
    """Counts the grey values of an ingest's images.

    Args:
        stated: the range that was typed; `None` where none was.
    """

    def __init__(self, stated: GreyRange | None = None) -> None:
        self._stated = stated
        self._shallow: list[str] = []
        self._deep: dict[str, GreyLevels] = {}

    @property
    def grey_range(self) -> GreyRange:
        """The range to read images with."""
        return self._stated or _PROVISIONAL

    def add(self, name: str, source: SourceImage) -> None:
        """Count an image that was read with `grey_range`."""
        if source.levels is None:
            self._shallow.append(name)
        else:
            self._deep[name] = source.levels

    def judge(self, problems: Problems) -> None:
        """Add the problem of images whose bits do not fit what was stated."""
        of = f"of {len(self._deep) + len(self._shallow):,} images"
        if self._deep and self._stated is None:
            advice = (
                _ONE_KIND
                if self._shallow
                else f"Say which values become 0 and 255, the same in every image: {GreyRange.of_sensor(self._highest).advice}."
            )
            problems.add(
                GreyRangeMissing(
                    f"{len(self._deep):,} {of} have {self._bits} bits per pixel, with values from {self._lowest:,} to {self._highest:,}; expected "
                    f"8 bits: {first_ten(self._deep)}. {advice}"
                )
            )
        if self._shallow and self._stated is not None:
            problems.add(
                GreyRangeUnused(
                    f"{len(self._shallow):,} {of} have 8 bits, which --grey-range {self._stated} is not for: {first_ten(self._shallow)}. "
                    f"{_ONE_KIND if self._deep else 'Leave the option out.'}"
                )
            )

    def as_dict(self) -> dict[str, Json] | None:
        """Return what goes into `ingest.json`; `None` where all images have 8 bits."""
        if self._stated is None:
            return None
        return {
            **(as_record(self._stated) or {}),
            "images": len(self._deep),
            "bits_per_pixel": sorted({levels.bits for levels in self._deep.values()}),
            "lowest_value": self._lowest,
            "highest_value": self._highest,
            "share_clipped_below": round(self._share("below"), 6),
            "share_clipped_above": round(self._share("above"), 6),
        }

    def row(self) -> tuple[str, int, str] | None:
        """Return a row of the table at the end of an ingest; `None` where all images have 8 bits."""
        if self._stated is None:
            return None
        darkest, brightest = self._stated.to_8_bits(np.array([self._lowest, self._highest])).tolist()
        worst, share = max(
            ((name, (levels.below + levels.above) / levels.pixels) for name, levels in self._deep.items()),
            key=lambda of_image: of_image[1],
        )
        note = (
            f"{self._stated} became 0:255; {self._lowest:,} to {self._highest:,} found, now {darkest} to {brightest}; clipped "
            f"{self._share('below'):.2%} of the pixels below, {self._share('above'):.2%} above"
        )
        return (
            f"  grey of {self._bits} bits",
            len(self._deep),
            note + (f", up to {share:.2%} ({worst})" if share else ""),
        )

    @property
    def _bits(self) -> str:
        return " and ".join(map(str, sorted({levels.bits for levels in self._deep.values()})))

    @property
    def _lowest(self) -> int:
        return min(levels.lowest for levels in self._deep.values())

    @property
    def _highest(self) -> int:
        return max(levels.highest for levels in self._deep.values())

    def _share(self, which: str) -> float:
        clipped: int = sum(getattr(levels, which) for levels in self._deep.values())
        return clipped / sum(levels.pixels for levels in self._deep.values())
