"""The area that two aligned patches both show."""

from __future__ import annotations


def overlap(
    first: tuple[int, ...], second: tuple[int, ...], shift: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the common area on the first patch, and on the second; empty slices if there is none.

    Args:
        first: height and width of the first patch, oriented.
        second: of the other.
        shift: position of the corner of the first patch on the second: (y, x), pixels.
    """
    (y, height, other_height), (x, width, other_width) = zip(shift, first[:2], second[:2], strict=True)
    top, left = min(max(y, 0), other_height), min(max(x, 0), other_width)
    bottom, right = max(min(y + height, other_height), top), max(min(x + width, other_width), left)
    return (slice(top - y, bottom - y), slice(left - x, right - x)), (slice(top, bottom), slice(left, right))
