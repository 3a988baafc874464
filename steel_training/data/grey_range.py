"""Grey images of 12 and 16 bits, as line-scan cameras deliver them, and the stated mapping of their values to 8 bits.

The mapping is linear and the same for every image: stretching each image by its own darkest and brightest pixel would make one
steel look different from image to image, and a defect in a dark image look like a clean bright one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from steel_training.data.ingest_record import INGEST_RECORD, read_ingest_record
from steel_training.errors import SteelTrainingError, UsageError
from steel_training.storage import Storage

DEEP_MODES = frozenset({"I;16", "I;16B", "I;16L"})
_HIGHEST = 65_535
_SENSOR_BITS = (8, 10, 12, 14, 16)
_PNG_DEPTH = 24
_TIFF_BITS, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


class GreyRangeInvalid(UsageError):
    """A grey range is not LOW:HIGH with 0 ≤ LOW < HIGH ≤ 65,535."""


class DepthUnsupported(SteelTrainingError):
    """An image file has more bits than can be read without losing some."""


@dataclass(frozen=True)
class GreyRange:
    """Grey values of a file that become 0 and 255; those between are mapped linearly and rounded, those outside are clipped.

    Example:
        >>> GreyRange(0, 4095).to_8_bits(np.array([0, 2048, 4095, 9999], np.uint16)).tolist()
        [0, 128, 255, 255]
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= _HIGHEST:
            raise GreyRangeInvalid(
                f"The grey range is {self}; expected LOW:HIGH in the units of the file, 0 ≤ LOW < HIGH ≤ {_HIGHEST}, such as 0:4095."
            )

    def __str__(self) -> str:
        return f"{self.low}:{self.high}"

    @classmethod
    def parse(cls, text: str) -> GreyRange:
        """Read `LOW:HIGH`.

        Raises:
            GreyRangeInvalid: it is something else.
        """
        found = re.fullmatch(r"\s*([0-9]{1,5})\s*:\s*([0-9]{1,5})\s*", text, re.ASCII)
        if found is None:
            raise GreyRangeInvalid(
                f"The grey range is {text!r}; expected LOW:HIGH, two whole numbers from 0 to {_HIGHEST}, such as 0:4095."
            )
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of_sensor(cls, highest: int) -> GreyRange:
        """Return the whole range of the sensor (8, 10, 12, 14 or 16 bits) that a highest value fits."""
        return cls(0, next(2**bits - 1 for bits in _SENSOR_BITS if highest < 2**bits))

    @property
    def advice(self) -> str:
        """What to say where this range of a sensor is suggested."""
        return (
            f"--grey-range {self} is all of {(self.high + 1).bit_length() - 1} bits; name more if your camera delivers more, and a narrower range for more "
            "contrast, which clips what is outside"
        )

    def to_8_bits(self, values: np.ndarray) -> np.ndarray:
        """Return uint8 values of the same shape.

        Args:
            values: uint16, any shape.
        """
        mapped: np.ndarray = self._table[values]
        return mapped

    @cached_property
    def _table(self) -> np.ndarray:
        above_low = np.clip(np.arange(_HIGHEST + 1), self.low, self.high) - self.low
        span = self.high - self.low
        # Rounded to the nearest in whole numbers, which is the same on every machine.
        return ((2 * 255 * above_low + span) // (2 * span)).astype(np.uint8)


def bits_per_channel(stored: Image.Image, data: bytes) -> int:
    """Return how many bits a file stores per pixel and channel.

    Args:
        stored: as opened, before its orientation is applied.
        data: the file.
    """
    if stored.format == "PNG":
        return data[_PNG_DEPTH]
    if stored.format == "TIFF":
        return int(max(_tag(stored, _TIFF_BITS, (1,))))
    return 8


def refuse_deep_colour(stored: Image.Image, data: bytes) -> None:
    """Refuse a colour image of 16 bits, of which Pillow drops the lower eight without a word.

    Raises:
        DepthUnsupported: it is one.
    """
    if not stored.mode.startswith("I") and (bits := bits_per_channel(stored, data)) == 16:
        raise DepthUnsupported(
            f"{bits} bits per colour (mode {stored.mode}), of which only 8 could be read; expected 8-bit grey or RGB, or grey of 12 or 16 "
            "bits. Save steel that is grey as one channel of 16 bits"
        )


def deep_values(stored: Image.Image, upright: Image.Image) -> np.ndarray | None:
    """Return the values of a grey image of more than 8 bits, uint16 (height, width); `None` for any other image.

    Args:
        stored: as decoded.
        upright: the same with its orientation applied.

    Raises:
        DepthUnsupported: it stores white as 0.
    """
    if stored.mode not in DEEP_MODES:
        return None
    if stored.format == "TIFF" and _tag(stored, _TIFF_PHOTOMETRIC, 1) == _WHITE_IS_ZERO:
        raise DepthUnsupported("a TIFF of 16 bits that stores white as 0 (WhiteIsZero); save it with black as 0")
    return np.asarray(upright).astype(np.uint16)


def as_record(grey_range: GreyRange | None) -> dict[str, int] | None:
    """Return a range as it stands in JSON files."""
    return None if grey_range is None else {"low": grey_range.low, "high": grey_range.high}


def from_record(found: Any, where: str) -> GreyRange | None:
    """Read a range from a JSON file; absent is `None`.

    Raises:
        GreyRangeInvalid: it is something else.
    """
    if found is None:
        return None
    low, high = (found.get("low"), found.get("high")) if isinstance(found, dict) else (None, None)
    if type(low) is not int or type(high) is not int:
        raise GreyRangeInvalid(
            f"{where} has the grey range {found!r}; expected {{'low': 0, 'high': 4095}}. Restore the file, or remove it."
        )
    return GreyRange(low, high)


def recorded_range(dataset: Storage) -> GreyRange | None:
    """Return the grey range that a dataset was ingested with; `None` where there was none, or nothing is on record.

    Raises:
        IngestRecordInvalid: the record cannot be read.
        GreyRangeInvalid: its range is none.
    """
    return from_record(read_ingest_record(dataset).get("grey_range"), dataset.location(INGEST_RECORD))


def _tag(image: Image.Image, number: int, default: Any) -> Any:
    return getattr(image, "tag_v2", {}).get(number, default)
