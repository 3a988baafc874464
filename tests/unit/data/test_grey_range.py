"""Grey of 12 and 16 bits becomes 8 bits by one stated line: the same in every image, in every file format and byte order."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from steel_training.data.grey_range import GreyRange, GreyRangeInvalid, recorded_range
from steel_training.data.images import ImageUnreadable, decode, without_tiff
from steel_training.storage import open_storage

RANGES = st.tuples(st.integers(0, 65_535), st.integers(0, 65_535)).filter(lambda pair: pair[0] < pair[1])
VALUES = np.arange(65_536, dtype=np.uint16)


def tiff(rows: np.ndarray, bits: int, order: str, *, photometric: int = 1) -> bytes:
    """An uncompressed TIFF of one strip; 12 bits are packed, three bytes for two pixels."""
    height, width = rows.shape
    if bits == 12:
        pairs = rows.reshape(-1, 2).astype(np.uint32)
        words = pairs[:, 0] << 12 | pairs[:, 1]
        data = np.stack([words >> 16, words >> 8 & 255, words & 255], axis=1).astype(np.uint8).tobytes()
    else:
        data = rows.astype(f"{order}u2").tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height, 279: len(data)}
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, 4, 1) + struct.pack(f"{order}I", value) for tag, value in tags.items()
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(data))
    return head + data + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def written(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format=kind, **options)
    return data.getvalue()


@given(RANGES)
def test_mapping_is_monotone_linear_and_exact_at_its_ends(ends) -> None:
    low, high = ends
    mapped = GreyRange(low, high).to_8_bits(VALUES).astype(int)
    assert (mapped[low], mapped[high]) == (0, 255)
    assert (mapped[: low + 1] == 0).all()
    assert (mapped[high:] == 255).all()
    assert (np.diff(mapped) >= 0).all()
    line = (VALUES[low : high + 1] - float(low)) * 255 / (high - low)
    assert np.abs(mapped[low : high + 1] - line).max() <= 0.5


@given(RANGES, st.integers(0, 65_535), st.lists(st.integers(0, 65_535), min_size=1, max_size=20))
def test_a_grey_becomes_the_same_value_whatever_is_beside_it(ends, grey, beside) -> None:
    grey_range = GreyRange(*ends)
    alone = grey_range.to_8_bits(np.array([grey], np.uint16))[0]
    assert grey_range.to_8_bits(np.array([*beside, grey], np.uint16))[-1] == alone


@pytest.mark.parametrize(
    "text", ["", "0", "0:", ":9", "9:9", "9:3", "0:65536", "-1:9", "0.5:9", "0:4095:1", "0:٤", "x"]
)
def test_a_range_that_is_none_is_named(text) -> None:
    with pytest.raises(GreyRangeInvalid, match="expected LOW:HIGH"):
        GreyRange.parse(text)


def test_a_range_reads_back_as_it_prints() -> None:
    assert GreyRange.parse(" 12:4000 ") == GreyRange(12, 4000)
    assert GreyRange.parse(str(GreyRange(12, 4000))) == GreyRange(12, 4000)


@pytest.mark.parametrize(
    ("highest", "suggested"), [(255, 255), (256, 1023), (4095, 4095), (4096, 16383), (65535, 65535)]
)
def test_sensor_range_holds_the_highest_value(highest, suggested) -> None:
    assert GreyRange.of_sensor(highest) == GreyRange(0, suggested)


STEEL = np.random.default_rng(0).integers(0, 4096, (48, 64)).astype(np.uint16)
FILES = {
    "png": written(STEEL, "PNG"),
    "tiff": written(STEEL, "TIFF"),
    "tiff, LZW": written(STEEL, "TIFF", compression="tiff_lzw"),
    "tiff, deflate": written(STEEL, "TIFF", compression="tiff_adobe_deflate"),
    "bigtiff": written(STEEL, "TIFF", big_tiff=True),
    "tiff, little-endian": tiff(STEEL, 16, "<"),
    "tiff, big-endian": tiff(STEEL, 16, ">"),
    "tiff, 12 bits packed": tiff(STEEL, 12, "<"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_same_steel_becomes_the_same_patch(name) -> None:
    found = decode(without_tiff(FILES[name], GreyRange(100, 3000)))
    wanted = np.clip(np.floor((STEEL.astype(float) - 100) * 255 / 2900 + 0.5), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(found, np.repeat(wanted[..., None], 3, axis=2))


def test_pillow_itself_writes_a_big_endian_tiff_that_is_read_alike() -> None:
    big = Image.frombytes("I;16B", (64, 48), STEEL.astype(">u2").tobytes())
    data = io.BytesIO()
    big.save(data, format="TIFF")
    assert data.getvalue()[:2] == b"MM"
    assert without_tiff(data.getvalue(), GreyRange(0, 4095)) == without_tiff(FILES["png"], GreyRange(0, 4095))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_orientation_is_applied_as_to_8_bits(kind) -> None:
    exif = Image.Exif()
    exif[274] = 6
    turned = decode(without_tiff(written(STEEL, kind, exif=exif), GreyRange(0, 4095)))
    np.testing.assert_array_equal(turned, np.rot90(decode(without_tiff(FILES["png"], GreyRange(0, 4095))), -1))


def test_without_a_range_the_values_and_the_option_are_named() -> None:
    with pytest.raises(ImageUnreadable, match=r"16 bits per pixel, with values from 0 to 4,095.*--grey-range 0:4095"):
        without_tiff(FILES["png"])


def test_8_bits_are_left_as_they_are() -> None:
    plain = written((STEEL // 16).astype(np.uint8), "PNG")
    assert without_tiff(plain, GreyRange(0, 4095)) is plain


def test_colours_of_16_bits_are_refused_as_half_of_each_would_be_lost() -> None:
    pixels = np.repeat(STEEL[..., None], 3, axis=2).astype(">u2")
    chunks = b"".join(b"\0" + row.tobytes() for row in pixels)
    data = png16_rgb(chunks, 64, 48)
    assert Image.open(io.BytesIO(data)).mode == "RGB"
    for read in (decode, without_tiff):
        with pytest.raises(ImageUnreadable, match="16 bits per colour"):
            read(data)


def test_white_as_zero_is_refused_in_16_bits() -> None:
    with pytest.raises(ImageUnreadable, match="WhiteIsZero"):
        without_tiff(tiff(STEEL, 16, "<", photometric=0), GreyRange(0, 4095))


def png16_rgb(rows: bytes, width: int, height: int) -> bytes:
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (None, None),
        ({}, None),
        ({"grey_range": None}, None),
        ({"grey_range": {"low": 5, "high": 4095, "images": 3}}, GreyRange(5, 4095)),
    ],
)
def test_range_of_a_dataset_is_on_record(tmp_path, record, found) -> None:
    if record is not None:
        (tmp_path / "ingest.json").write_text(json.dumps(record), encoding="utf-8")
    assert recorded_range(open_storage(str(tmp_path))) == found


@pytest.mark.parametrize(
    "text",
    ['{"grey_range": 5}', '{"grey_range": {"low": 9, "high": 3}}', '{"grey_range": {"low": "0"}}'],
)
def test_damaged_range_is_named(tmp_path, text) -> None:
    (tmp_path / "ingest.json").write_text(text, encoding="utf-8")
    with pytest.raises(GreyRangeInvalid):
        recorded_range(open_storage(str(tmp_path)))
