"""The image decoder of training, profiling and prediction; what the contract does not allow is refused by name."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from steel_training.data.images import MAX_SIDE, ImageUnreadable, decode, read_batches
from steel_training.storage import open_storage

GREY = np.random.default_rng(0).integers(0, 256, (24, 32), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format=kind, **options)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_file_decodes_to_its_exact_pixels(kind: str) -> None:
    pixels = decode(encoded(Image.fromarray(GREY), kind))
    assert (pixels.shape, pixels.dtype) == ((24, 32, 3), np.uint8)
    for channel in range(3):
        np.testing.assert_array_equal(pixels[..., channel], GREY)


def test_jpeg_decodes_close_to_the_original() -> None:
    smooth = np.asarray(Image.fromarray(GREY).resize((32, 24)).convert("L").point(lambda v: v // 8 + 100))
    assert np.abs(decode(encoded(Image.fromarray(smooth), "JPEG", quality=95))[..., 0].astype(int) - smooth).max() < 25


@pytest.mark.parametrize("mode", ["I;16", "RGBA", "P", "CMYK", "1", "F"])
def test_unsupported_pixel_format_is_named(mode: str) -> None:
    image = Image.fromarray(GREY.astype(np.uint16)) if mode == "I;16" else Image.fromarray(GREY).convert(mode)
    with pytest.raises(ImageUnreadable, match=f"mode {mode}; expected 8-bit grey"):
        decode(encoded(image, "TIFF"))


def test_unsupported_files_are_refused() -> None:
    for data in (
        b"",
        b"no image",
        b"%PDF-1.7",
        encoded(Image.fromarray(GREY), "GIF"),
        encoded(Image.fromarray(GREY), "WEBP"),
    ):
        with pytest.raises(ImageUnreadable, match="not a PNG, JPEG, BMP or TIFF image"):
            decode(data)


def test_decompression_bomb_is_refused_from_its_header() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(ImageUnreadable):
        decode(bomb)
    with pytest.raises(ImageUnreadable, match=f"at most {MAX_SIDE} per side"):
        decode(encoded(Image.new("L", (MAX_SIDE + 1, 8)), "PNG"))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "BMP", "TIFF"]), st.data())
def test_corrupt_file_is_refused_or_decoded(kind: str, data: st.DataObject) -> None:
    whole = bytearray(encoded(Image.fromarray(GREY), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        pixels = decode(cut)
    except ImageUnreadable:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3


def test_batches_keep_order_and_bad_file_is_named(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    paths = [f"{i}.png" for i in range(25)]
    for i, path in enumerate(paths):
        storage.write(path, encoded(Image.new("L", (8, 8), i), "PNG"))
    batches = list(read_batches(storage, paths, 10))
    assert [len(b) for b in batches] == [10, 10, 5]
    assert np.concatenate(batches)[:, 0, 0, 0].tolist() == list(range(25))
    storage.write("7.png", b"torn")
    with pytest.raises(ImageUnreadable, match=r"7\.png: not a PNG"):
        list(read_batches(storage, paths, 10))
