"""Depthwise convolutions of small maps as products of matrices, while a network is trained on a processor.

TensorFlow's gradient of a depthwise convolution is slow on processors: five of them take half of a step that fine-tunes the top blocks of
EfficientNetB0. On a map of few pixels such a convolution is, channel by channel, a product with a small matrix whose entries are the
kernel's; products and their gradients are fast. The values are the same but for rounding (`docs/speed.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

LARGEST_MAP = 64
"""Pixels. The matrices have the square of it as entries a channel."""


@contextmanager
def as_matrices(network: Any) -> Iterator[int]:
    """Lets the depthwise layers of a network with small maps work by matrices; on a GPU, and afterwards, as ever.

    The layers' weights, configuration and the saved network are untouched.

    Args:
        network: Keras model, channels last.

    Yields:
        How many layers do so.
    """
    changed = []
    if not tf.config.list_physical_devices("GPU"):
        for layer in network.layers:
            if isinstance(layer, keras.layers.DepthwiseConv2D) and _is_small(layer):
                layer.call = _product(layer)
                changed.append(layer)
    try:
        yield len(changed)
    finally:
        for layer in changed:
            del layer.call


def _is_small(layer: Any) -> bool:
    plain = layer.depth_multiplier == 1 and not layer.use_bias and layer.dilation_rate == (1, 1)
    height, width = layer.input.shape[1:3]
    return bool(
        plain
        and layer.data_format == "channels_last"
        and height is not None
        and width is not None
        and height * width <= LARGEST_MAP
    )


def _product(layer: Any) -> Callable[[Any], Any]:
    height, width, channels = layer.input.shape[1:]
    rows, columns = layer.output.shape[1:3]
    places = tf.constant(
        _places((height, width), (rows, columns), layer.kernel_size, layer.strides, same=layer.padding == "same")
    )

    def call(inputs: Any) -> Any:
        kernel = tf.reshape(tf.convert_to_tensor(layer.kernel), (-1, channels))
        matrices = tf.reshape(tf.matmul(kernel, places, transpose_a=True), (channels, height * width, rows * columns))
        maps = tf.transpose(tf.reshape(inputs, (-1, height * width, channels)), (2, 0, 1))
        return tf.reshape(tf.transpose(tf.matmul(maps, matrices), (1, 2, 0)), (-1, rows, columns, channels))

    return call


def _places(
    taken: tuple[int, int], given: tuple[int, int], kernel: tuple[int, int], strides: tuple[int, int], *, same: bool
) -> np.ndarray:
    """Says which entry of the kernel leads from which pixel to which: (kernel entries, pixels taken × pixels given), 0 or 1."""
    places = np.zeros((*kernel, *taken, *given), np.float32)
    first = [
        max((out - 1) * step + size - side, 0) // 2 if same else 0
        for side, out, size, step in zip(taken, given, kernel, strides, strict=True)
    ]
    for y, x in np.ndindex(*given):
        for i, j in np.ndindex(*kernel):
            row, column = y * strides[0] + i - first[0], x * strides[1] + j - first[1]
            if 0 <= row < taken[0] and 0 <= column < taken[1]:
                places[i, j, row, column, y, x] = 1
    return places.reshape(kernel[0] * kernel[1], -1)
