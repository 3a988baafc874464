"""Decodes run lengths of masks: COCO's (plain and compressed), CVAT's, and those of Label Studio's brush."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from steel_training.ingest.regions import RegionInvalid


def decode_runs(counts: Sequence[int], length: int) -> np.ndarray:
    """Return the pixels of alternating runs, the first of which is 0.

    Args:
        counts: lengths of the runs of 0, 1, 0, 1, …; pixels.
        length: number of pixels.

    Returns:
        bool, (length,).

    Raises:
        RegionInvalid: a negative count, or another sum.
    """
    if any(count < 0 for count in counts) or sum(counts) != length:
        raise RegionInvalid(f"its run lengths add up to {sum(counts):,} pixels; expected {length:,}, and none below 0")
    return np.repeat(np.arange(len(counts)) % 2 == 1, np.array(counts, dtype=np.int64))


def decode_coco_counts(text: str) -> list[int]:
    """Decode the text of compressed run lengths of the COCO API.

    Six bits per character from '0' on: five of the number, lowest first, and one that says that it continues. From the fourth
    number on, what is stored is the difference from the one before the previous.

    Raises:
        RegionInvalid: a character that the encoding does not use, or a number without end.
    """
    counts: list[int] = []
    number, shift = 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise RegionInvalid(
                f"its compressed run lengths hold {character!r}, which the encoding of COCO does not use there"
            )
        number |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                number -= 1 << shift
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number, shift = 0, 0
    if shift:
        raise RegionInvalid("its compressed run lengths end within a number")
    return counts


def decode_brush(data: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    """Decode a brush mask of Label Studio: bytes of an RGBA image, packed by the library `@thi.ng/rle-pack`.

    A bit stream: the number of values (32 bits), bits per value − 1 (5), four sizes of run lengths − 1 (4 each); then runs: one
    bit that says whether a value repeats, two that choose a size, the length − 1, and one value or as many as the length.

    Args:
        data: bytes, 0 to 255.
        shape: (height, width) of the image.

    Returns:
        bool, (height, width): where alpha is above 0.

    Raises:
        RegionInvalid: not such a stream, or of another size.
    """
    if any(not 0 <= value <= 255 for value in data):
        raise RegionInvalid("its run lengths hold numbers that are no bytes (0 to 255)")
    bits = _Bits(bytes(data))
    values = bits.take(32)
    if values != 4 * shape[0] * shape[1]:
        raise RegionInvalid(
            f"its brush mask has {values:,} values; expected 4 for each of the {shape[1]}×{shape[0]} pixels of the image"
        )
    word = bits.take(5) + 1
    sizes = [bits.take(4) + 1 for _ in range(4)]
    out = np.zeros(values, dtype=bool)
    start = 0
    while start < values:
        repeats = bits.take(1)
        end = start + 1 + bits.take(sizes[bits.take(2)])
        if end > values:
            raise RegionInvalid("a run of its brush mask leaves the image")
        if repeats:
            out[start:end] = bits.take(word) > 0
        else:
            out[start:end] = list(_words(bits, end - start, word))
        start = end
    return out.reshape(*shape[:2], 4)[..., 3]


def _words(bits: _Bits, count: int, word: int) -> Iterator[bool]:
    for _ in range(count):
        yield bits.take(word) > 0


class _Bits:
    """A stream of bits, highest first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> int:
        """Return the next bits as a number."""
        first, last = self._at // 8, (self._at + count + 7) // 8
        if last > len(self._data):
            raise RegionInvalid("its brush mask ends before the image is full")
        self._at += count
        return int.from_bytes(self._data[first:last]) >> (8 * last - self._at) & ((1 << count) - 1)
