"""What a network gets of a patch: its pixels at the side that it expects, and the views of it that training may see.

A view shows what a mill's camera could have shown of the same steel: mirrored, or under a lamp that is a little stronger, weaker,
harder or softer. None can hide a defect: no crop, no erasing, no mixing of patches, nothing cut off at black or white.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

AUGMENTATIONS = (
    "identity", "left_right", "up_down", "half_turn", "darker", "brighter", "softer", "harder",
)  # fmt: skip
"""In this order; the first ones are taken."""

_BRIGHTNESS = {"darker": 0.85, "brighter": 1.15}
_CONTRAST = {"softer": 0.85, "harder": 1.15}


def resize(batch: Any, size: int) -> Any:
    """Brings pixels to the side that the network expects.

    The one definition that training, evaluation and the exported model share.

    Args:
        batch: (n, height, width, 3), uint8 or float, 0-255.
        size: side in pixels.

    Returns:
        float32 tensor, (n, size, size, 3), 0-255.
    """
    return tf.image.resize(tf.cast(batch, tf.float32), (size, size), method="bilinear", antialias=True)


def augment(batch: Any, name: str) -> Any:
    """Returns one of `VIEWS` of a batch (n, height, width, 3), float32, 0-255."""
    if name == "left_right":
        return batch[:, :, ::-1]
    if name == "up_down":
        return batch[:, ::-1]
    if name == "half_turn":
        return batch[:, ::-1, ::-1]
    if name in _BRIGHTNESS:
        # No patch gets brighter than white: what is cut off there could be the defect.
        brightest = tf.reduce_max(batch, axis=(1, 2, 3), keepdims=True)
        return batch * tf.minimum(_BRIGHTNESS[name], 255.0 / tf.maximum(brightest, 1.0))
    if name in _CONTRAST:
        mean = tf.reduce_mean(batch, axis=(1, 2, 3), keepdims=True)
        above = tf.reduce_max(batch, axis=(1, 2, 3), keepdims=True) - mean
        below = mean - tf.reduce_min(batch, axis=(1, 2, 3), keepdims=True)
        room = tf.minimum((255.0 - mean) / tf.maximum(above, 1e-3), mean / tf.maximum(below, 1e-3))
        return mean + (batch - mean) * tf.minimum(_CONTRAST[name], tf.maximum(room, 0.0))
    return batch
