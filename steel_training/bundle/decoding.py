"""Decodes image files inside the exported graph: accepts what training reads, and refuses the rest before decoding.

TensorFlow's decoders accept more, and decode some of it wrongly: a 16-bit PNG loses its low byte, a BMP palette is ignored,
only the first frame of an animation is read, and a file of 140 kB may expand to gigabytes. So format, bit depth and size
are read from the header first, in graph operations, and an unsuitable file is an `InvalidArgumentError`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import tensorflow as tf

from steel_training.data.images import MAX_SIDE

EXPECTED = (
    f"expected an 8-bit grey or RGB PNG, JPEG or BMP file of at most {MAX_SIDE} pixels per side, without an EXIF orientation "
    "(turn the pixels instead)"
)

_PNG, _BMP = b"\x89PNG\r\n\x1a\n", b"BM"
_BMP_HEADER = 54
_PNG_HEADER = 33
# The EXIF entry 0x0112, a short, once, that is not 1; and what begins EXIF data. `\C` is any byte.
_ORIENTED = (
    r"(?s)\C*(?:Exif\x00\x00|eXIf)(?:II\*\x00\C*\x12\x01\x03\x00\x01\x00\x00\x00[\x02-\x08]\x00|"
    r"MM\x00\*\C*\x01\x12\x00\x03\x00\x00\x00\x01\x00[\x02-\x08])\C*"
)


def decode(data: tf.Tensor) -> tf.Tensor:
    """Return the pixels of an image file, uint8, (height, width, 3); grey is repeated over the channels.

    Args:
        data: string tensor (), the content of a PNG, JPEG or BMP file.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs: another format, damaged, another bit depth, alpha or
            palette, an EXIF orientation, or more than `MAX_SIDE` pixels per side.
    """

    def unknown() -> tf.Tensor:
        with tf.control_dependencies([tf.debugging.Assert(False, [EXPECTED])]):
            return tf.zeros((1, 1, 3), tf.uint8)

    image = tf.case(
        [
            (tf.io.is_jpeg(data), lambda: _jpeg(data)),
            (_starts_with(data, _PNG), lambda: _png(data)),
            (_starts_with(data, _BMP), lambda: _bmp(data)),
        ],
        default=unknown,
    )
    image.set_shape((None, None, 3))
    return image


def _jpeg(data: tf.Tensor) -> tf.Tensor:
    shape = tf.io.extract_jpeg_shape(data)
    with _only_if(_fits(shape[0], shape[1]) & ((shape[2] == 1) | (shape[2] == 3)) & _is_upright(data)):
        # TensorFlow's default is the fast, inexact transform: up to 7 grey levels off the pixels that training read.
        return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")


def _png(data: tf.Tensor) -> tf.Tensor:
    header = _bytes(data, 0, _PNG_HEADER)
    width, height = _big_endian(header[16:20]), _big_endian(header[20:24])
    depth, colour = header[24], header[25]
    # Colour type 0 is grey, 2 is RGB; Pillow and TensorFlow scale 2 and 4 bits of grey to 0-255 in the same way.
    readable = (depth == 8) & ((colour == 0) | (colour == 2)) | (colour == 0) & ((depth == 2) | (depth == 4))
    with _only_if(readable & _fits(height, width) & _is_upright(data)):
        return tf.io.decode_png(data, channels=3)


def _bmp(data: tf.Tensor) -> tf.Tensor:
    header = _bytes(data, 0, _BMP_HEADER)
    start, size = _little_endian(header[10:14]), _little_endian(header[14:18])
    width, height = _little_endian(header[18:22]), tf.abs(_little_endian(header[22:26]))
    bits, compression = header[28] + 256 * header[29], _little_endian(header[30:34])
    grey = (bits == 8) & _is_grey_palette(data, 14 + size, start)
    readable = (size >= 40) & (compression == 0) & (grey | (bits == 24) | (bits == 32))
    with _only_if(readable & _fits(height, width)):
        # 32 bits are blue, green, red and padding, which decode_bmp does not drop by itself.
        pixels = tf.io.decode_image(data, channels=0, expand_animations=False)
        return tf.cond(bits == 8, lambda: tf.repeat(pixels[..., :1], 3, axis=-1), lambda: pixels[..., :3])


def _is_grey_palette(data: tf.Tensor, begin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Return whether entry i of a BMP palette is grey value i, the only palette that TensorFlow decodes correctly."""
    length = tf.clip_by_value(end - begin, 0, 1024)
    palette = tf.cast(tf.io.decode_raw(tf.strings.substr(data, tf.maximum(begin, 0), length), tf.uint8), tf.int32)
    entries = tf.reshape(palette[: tf.size(palette) // 4 * 4], (-1, 4))[:, :3]
    return (tf.shape(entries)[0] > 0) & tf.reduce_all(entries == tf.range(tf.shape(entries)[0])[:, None])


def _is_upright(data: tf.Tensor) -> tf.Tensor:
    """Return whether the pixels are stored upright; training applies an EXIF orientation, TensorFlow does not."""
    return ~tf.strings.regex_full_match(data, _ORIENTED)


def _fits(height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    return (height > 0) & (width > 0) & (height <= MAX_SIDE) & (width <= MAX_SIDE)


def _only_if(condition: tf.Tensor) -> AbstractContextManager[None]:
    met: AbstractContextManager[None] = tf.control_dependencies([tf.debugging.Assert(condition, [EXPECTED])])
    return met


def _starts_with(data: tf.Tensor, prefix: bytes) -> tf.Tensor:
    length = tf.minimum(len(prefix), tf.strings.length(data))
    return tf.strings.substr(data, 0, length) == tf.constant(prefix)


def _bytes(data: tf.Tensor, begin: int, length: int) -> tf.Tensor:
    """Return bytes as int32 (length,); zeros, which fail every check, where the file is shorter."""
    held = tf.strings.substr(data, begin, tf.minimum(length, tf.strings.length(data) - begin))
    return tf.cast(tf.io.decode_raw(tf.strings.join([held, b"\0" * length]), tf.uint8), tf.int32)[:length]


def _big_endian(four: tf.Tensor) -> tf.Tensor:
    return ((four[0] * 256 + four[1]) * 256 + four[2]) * 256 + four[3]


def _little_endian(four: tf.Tensor) -> tf.Tensor:
    return _big_endian(four[::-1])
