"""Depthwise convolutions of small feature maps as matrix products, for training on a CPU.

TensorFlow's gradient of a depthwise convolution is slow on CPUs: five of them take half of a step that fine-tunes the top blocks
of EfficientNetB0. On a small feature map the convolution of each channel is a product with a small matrix of kernel entries;
matrix products and their gradients are fast. The values are equal up to rounding (`docs/speed.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

LARGEST_MAP = 64
"""Pixels. The matrices have the square of it as entries per channel."""


@contextmanager
def as_matrices(network: keras.Model) -> Iterator[int]:
    """Compute depthwise layers with small feature maps as matrix products within the block; no effect on a GPU.

    Weights and configuration of the layers, and the saved network, do not change.

    Args:
        network: Keras model, channels last.

    Yields:
        The number of layers replaced.
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


def _is_small(layer: keras.layers.DepthwiseConv2D) -> bool:
    plain = layer.depth_multiplier == 1 and not layer.use_bias and layer.dilation_rate == (1, 1)
    height, width = layer.input.shape[1:3]
    return bool(
        plain
        and layer.data_format == "channels_last"
        and height is not None
        and width is not None
        and height * width <= LARGEST_MAP
    )


def _product(layer: keras.layers.DepthwiseConv2D) -> Callable[[tf.Tensor], tf.Tensor]:
    height, width, channels = layer.input.shape[1:]
    rows, columns = layer.output.shape[1:3]
    places = tf.constant(
        _places((height, width), (rows, columns), layer.kernel_size, layer.strides, same=layer.padding == "same")
    )

    def call(inputs: tf.Tensor) -> tf.Tensor:
        kernel = tf.reshape(tf.convert_to_tensor(layer.kernel), (-1, channels))
        matrices = tf.reshape(tf.matmul(kernel, places, transpose_a=True), (channels, height * width, rows * columns))
        maps = tf.transpose(tf.reshape(inputs, (-1, height * width, channels)), (2, 0, 1))
        return tf.reshape(tf.transpose(tf.matmul(maps, matrices), (1, 2, 0)), (-1, rows, columns, channels))

    return call


def _places(
    inputs: tuple[int, int], outputs: tuple[int, int], kernel: tuple[int, int], strides: tuple[int, int], *, same: bool
) -> np.ndarray:
    """Return which kernel entry connects which input and output pixel: float32 (kernel entries, input × output pixels), 0 or 1."""
    places = np.zeros((*kernel, *inputs, *outputs), np.float32)
    first = [
        max((out - 1) * step + size - side, 0) // 2 if same else 0
        for side, out, size, step in zip(inputs, outputs, kernel, strides, strict=True)
    ]
    for y, x in np.ndindex(*outputs):
        for i, j in np.ndindex(*kernel):
            row, column = y * strides[0] + i - first[0], x * strides[1] + j - first[1]
            if 0 <= row < inputs[0] and 0 <= column < inputs[1]:
                places[i, j, row, column, y, x] = 1
    return places.reshape(kernel[0] * kernel[1], -1)
