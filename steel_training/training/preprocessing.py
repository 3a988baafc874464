"""Preprocessing: resizing to the input size of a network, and the augmentations used in training.

An augmentation shows the same steel as a camera could have seen it: mirrored, or with slightly more or less brightness or
contrast. None can hide a defect: no cropping, no erasing, no mixing of patches, no clipping at black or white.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

AUGMENTATIONS = (
    "identity", "left_right", "up_down", "half_turn", "darker", "brighter", "softer", "harder",
)  # fmt: skip
"""In order; `training.views` uses the first ones."""

_BRIGHTNESS = {"darker": 0.85, "brighter": 1.15}
_CONTRAST = {"softer": 0.85, "harder": 1.15}


def resize(batch: np.ndarray | tf.Tensor, size: int) -> tf.Tensor:
    """Resize pixels to the input size of a network.

    The single definition that training, evaluation and the exported model share.

    Args:
        batch: (n, height, width, 3), uint8 or float, 0-255.
        size: side in pixels.

    Returns:
        float32 tensor, (n, size, size, 3), 0-255.
    """
    return tf.image.resize(tf.cast(batch, tf.float32), (size, size), method="bilinear", antialias=True)


def augment(batch: tf.Tensor, name: str) -> tf.Tensor:
    """Apply one of `AUGMENTATIONS` to a batch (n, height, width, 3), float32, 0-255."""
    if name == "left_right":
        return batch[:, :, ::-1]
    if name == "up_down":
        return batch[:, ::-1]
    if name == "half_turn":
        return batch[:, ::-1, ::-1]
    if name in _BRIGHTNESS:
        # Limited so that no pixel is clipped at white, which could hide the defect.
        brightest = tf.reduce_max(batch, axis=(1, 2, 3), keepdims=True)
        return batch * tf.minimum(_BRIGHTNESS[name], 255.0 / tf.maximum(brightest, 1.0))
    if name in _CONTRAST:
        mean = tf.reduce_mean(batch, axis=(1, 2, 3), keepdims=True)
        above = tf.reduce_max(batch, axis=(1, 2, 3), keepdims=True) - mean
        below = mean - tf.reduce_min(batch, axis=(1, 2, 3), keepdims=True)
        headroom = tf.minimum((255.0 - mean) / tf.maximum(above, 1e-3), mean / tf.maximum(below, 1e-3))
        return mean + (batch - mean) * tf.minimum(_CONTRAST[name], tf.maximum(headroom, 0.0))
    return batch
