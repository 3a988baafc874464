"""The exported graph reads what training reads, pixel for pixel, and refuses the rest before it is unfolded."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from steel_training.bundle.decoding import decode
from steel_training.data.images import MAX_SIDE
from steel_training.data.images import decode as read_in_training

_RANDOM = np.random.default_rng(0)
GREY = Image.fromarray(_RANDOM.integers(0, 256, (40, 33), dtype=np.uint8))
COLOUR = Image.fromarray(_RANDOM.integers(0, 256, (40, 33, 3), dtype=np.uint8))
DEEP = Image.fromarray(_RANDOM.integers(0, 65536, (40, 33), dtype=np.uint16))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format=kind, **options)
    return data.getvalue()


def png(width: int, height: int, *, depth: int = 8, rows: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def claimed(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value + data[place + len(value) :]


in_graph = tf.function(decode, input_signature=[tf.TensorSpec((), tf.string)])


@pytest.mark.parametrize(
    "data",
    [
        encoded(GREY),
        encoded(COLOUR),
        encoded(GREY, "BMP"),
        encoded(COLOUR, "BMP"),
        encoded(Image.fromarray(np.full((1, 1), 7, np.uint8))),
        png(4, 2, depth=4, rows=b"\0\x01\x23\0\xfe\xdc"),
    ],
    ids=["grey PNG", "RGB PNG", "grey BMP", "RGB BMP", "one pixel", "PNG of 4 bits"],
)
def test_lossless_files_decode_to_the_training_pixels(data: bytes) -> None:
    assert np.array_equal(in_graph(data).numpy(), read_in_training(data))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 40}])
@pytest.mark.parametrize("image", [GREY, COLOUR])
def test_jpeg_is_at_most_a_few_grey_levels_off(image: Image.Image, options: dict[str, object]) -> None:
    data = encoded(image, "JPEG", subsampling=0, **options) if image is COLOUR else encoded(image, "JPEG", **options)
    assert np.abs(in_graph(data).numpy().astype(int) - read_in_training(data)).max() <= 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BM",
        b"\x89PNG\r\n\x1a\n",
        b"no image",
        encoded(DEEP),
        encoded(COLOUR.convert("RGBA")),
        encoded(GREY.convert("LA")),
        encoded(COLOUR.convert("P")),
        encoded(GREY.convert("1")),
        encoded(COLOUR.convert("CMYK"), "JPEG"),
        encoded(COLOUR, "GIF", save_all=True, append_images=[COLOUR.rotate(90)]),
        encoded(COLOUR, "TIFF"),
        encoded(COLOUR.convert("P"), "BMP"),
        encoded(GREY)[:700],
        encoded(GREY, "JPEG")[:300],
        encoded(GREY, "BMP")[:1500],
        encoded(Image.new("L", (MAX_SIDE + 1, 8))),
        encoded(Image.new("L", (MAX_SIDE + 1, 8)), "JPEG"),
        encoded(Image.new("L", (MAX_SIDE + 1, 8)), "BMP"),
        png(60_000, 60_000),
        png(2**32 - 1, 2**32 - 1),
        claimed(encoded(COLOUR, "BMP"), 18, struct.pack("<i", 50_000)),
        claimed(encoded(COLOUR, "BMP"), 22, struct.pack("<i", -(2**31))),
    ],
)
def test_formats_not_used_in_training_are_refused(data: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        in_graph(data)


def oriented(orientation: int, order: str = "<", kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif.endian = order
    exif[0x0112] = orientation
    exif[0x010F] = "camera"
    return encoded(GREY, kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_exif_orientation_is_refused(kind: str, order: str) -> None:
    assert in_graph(oriented(1, order, kind)).shape == (40, 33, 3)
    for orientation in range(2, 9):
        with pytest.raises(tf.errors.InvalidArgumentError, match="EXIF orientation"):
            in_graph(oriented(orientation, order, kind))


def test_decompression_bomb_is_refused_from_its_header() -> None:
    import resource

    bomb = png(12_000, 12_000, rows=b"\0" * (12_001 * 12_000))
    in_graph(encoded(GREY))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most"):
        in_graph(bomb)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 60
