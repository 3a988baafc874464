"""The work of decoding is known, and refused if it is too much, before anything is decoded."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageFile

from steel_training.data.decoding_cost import MAX_SCANS, scans
from steel_training.data.images import MAX_PIXEL_SCANS, MAX_SIDE, ImageUnreadable, decode, decoding_cost, without_tiff
from steel_training.data.measurements import measure

BLANK = Image.new("L", (MAX_SIDE, MAX_SIDE), 128)
NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format=kind, **options)
    return data.getvalue()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The sizes of the images that Pillow really decodes."""
    found: list[tuple[int, int]] = []
    load = ImageFile.ImageFile.load

    def noted(image: ImageFile.ImageFile) -> object:
        found.append(image.size)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", noted)
    return found


def test_scans_are_counted_without_decoding(progressive_jpeg, decoded: list) -> None:
    grey, colour = Image.fromarray(NOISE[..., 0]), Image.fromarray(NOISE)
    assert scans(encoded(colour, "JPEG")) == 1
    assert scans(progressive_jpeg(grey)) == 6
    assert scans(progressive_jpeg(colour)) == 10
    assert scans(progressive_jpeg(grey, 700)) == 700
    assert scans(encoded(colour, "PNG")) == 1
    assert decoded == []


def test_scans_inside_a_segment_or_after_the_end_are_none(progressive_jpeg) -> None:
    thumbnail = progressive_jpeg(Image.fromarray(NOISE))
    whole = encoded(Image.fromarray(NOISE), "JPEG", exif=b"Exif\0\0" + thumbnail)
    assert scans(whole) == 1
    assert scans(whole + thumbnail) == 1


def test_restarts_and_fill_bytes_hide_no_scan(progressive_jpeg) -> None:
    image = Image.fromarray(NOISE)
    restarted = encoded(image, "JPEG", progressive=True, restart_marker_blocks=1)
    assert b"\xff\xd0" in restarted
    assert scans(restarted) == 10
    assert scans(progressive_jpeg(image).replace(b"\xff\xda", b"\xff\xff\xff\xda")) == 10


@pytest.mark.parametrize(
    "data", [b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xc4", b"\xff\xd8\xff\xe0\x00\x00", b"\xff\xd8" + b"\xff" * 99]
)
def test_truncated_files_have_no_more_than_one_scan(data: bytes) -> None:
    assert scans(data) == 1


def test_hundreds_of_scans_are_refused_before_decoding(progressive_jpeg, decoded: list) -> None:
    bomb = progressive_jpeg(BLANK, 400)
    assert len(bomb) < 30_000
    for read in (decode, without_tiff, decoding_cost):
        with pytest.raises(ImageUnreadable, match=r"2048×2048 pixels in 400 scans; at most 32 scans"):
            read(bomb)
    found = measure(bomb)
    assert "400 scans" in found.decode_error
    assert decoded == []


def test_as_many_scans_as_allowed_are_decoded(progressive_jpeg) -> None:
    assert decode(progressive_jpeg(BLANK, MAX_SCANS)).shape == (MAX_SIDE, MAX_SIDE, 3)
    with pytest.raises(ImageUnreadable, match="33 scans"):
        decode(progressive_jpeg(BLANK, MAX_SCANS + 1))


def test_small_images_may_have_more_scans(progressive_jpeg) -> None:
    small = progressive_jpeg(Image.fromarray(NOISE[..., 0]), 400)
    assert decode(small).shape == (48, 64, 3)
    assert decoding_cost(small) == 48 * 64 * 400 < MAX_PIXEL_SCANS


def test_honest_progressive_jpeg_of_the_largest_size_is_decoded(progressive_jpeg) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (MAX_SIDE, MAX_SIDE, 3), dtype=np.uint8)
    assert decode(progressive_jpeg(Image.fromarray(pixels))).shape == pixels.shape


def test_several_frames_cost_as_much_as_one() -> None:
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    for kind in ("PNG", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:] * 50)
        assert decoding_cost(data) == 48 * 64
        np.testing.assert_array_equal(decode(data), NOISE)


def test_run_length_coded_bmp_is_refused() -> None:
    palette = b"".join(bytes((grey, grey, grey, 0)) for grey in range(256))
    rows = b"\x08\x80\x00\x00" * 8 + b"\x00\x01"
    head = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, len(rows), 0, 0, 256, 0) + palette
    bmp = b"BM" + struct.pack("<IHHI", 14 + len(head) + len(rows), 0, 0, 14 + len(head)) + head + rows
    with pytest.raises(ImageUnreadable, match="run-length coding"):
        decode(bmp)
