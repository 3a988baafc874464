from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.ingest.regions import RegionInvalid
from steel_training.ingest.run_lengths import decode_brush, decode_coco_counts, decode_runs


def encode_brush(mask: np.ndarray, *, literal: bool = False) -> list[int]:
    """Packs a mask as `@thi.ng/rle-pack` does: runs of equal values, or all values one by one."""
    values = np.repeat(np.where(mask, 255, 0).ravel(), 4).tolist()
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size:04b}" for size in (2, 3, 7, 15))
    start = 0
    while start < len(values):
        if literal:
            end = min(start + 8, len(values))
            bits += f"0{0:02b}{end - start - 1:03b}" + "".join(f"{value:08b}" for value in values[start:end])
        else:
            end = start + 1
            while end < len(values) and values[end] == values[start] and end - start < 1 << 16:
                end += 1
            bits += f"1{3:02b}{end - start - 1:016b}{values[start]:08b}"
        start = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


@pytest.mark.parametrize("literal", [False, True])
@given(data=st.data())
def test_brush_masks_are_decoded(literal, data) -> None:
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width)))
    mask = mask.reshape(height, width)
    assert (decode_brush(encode_brush(mask, literal=literal), (height, width)) == mask).all()


@pytest.mark.parametrize(
    ("text", "size", "area"),
    [
        # Written by pycocotools 2.0, with the area of each mask.
        ("o2??000000000000DC7=IC7=50000000000000000000000000000000000V9B", (30, 40), 402),
        ("bbc0f4XQc3]KmT]L000000000000000000", (200, 700), 180),
    ],
)
def test_compressed_run_lengths_of_coco_are_decoded(text, size, area) -> None:
    mask = decode_runs(decode_coco_counts(text), size[0] * size[1]).reshape(size, order="F")
    assert mask.sum() == area


@given(st.lists(st.integers(0, 5000), max_size=20))
def test_plain_run_lengths_alternate(counts) -> None:
    pixels = decode_runs(counts, sum(counts))
    assert pixels.sum() == sum(counts[1::2])
    assert not pixels[: counts[0] if counts else 0].any()


@pytest.mark.parametrize("counts", [[5, 6], [-1, 11], [10**30, 10 - 10**30]])
def test_other_sums_and_negative_runs_are_refused(counts) -> None:
    with pytest.raises(RegionInvalid, match="expected 10"):
        decode_runs(counts, 10)


@pytest.mark.parametrize("text", ["!", "o" * 40, "o", "é"])
def test_broken_text_of_run_lengths_is_refused(text) -> None:
    with pytest.raises(RegionInvalid, match="compressed run lengths"):
        decode_coco_counts(text)


@pytest.mark.parametrize("data", [[], [256], [-1], [0, 0, 0, 16, 57, 0]])
def test_broken_brush_masks_are_refused(data) -> None:
    with pytest.raises(RegionInvalid):
        decode_brush(data, (2, 2))
