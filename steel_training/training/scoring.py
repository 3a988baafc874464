"""Scores of a network for the patches of a split."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from steel_training.data.images import read_batches
from steel_training.data.patches import PatchSet
from steel_training.training.preprocessing import resize

BATCH = 64


class Scorer:
    """Scores patches with one network. Its graph takes seconds to build, and is built once for all splits."""

    def __init__(self, network: keras.Model) -> None:
        """Wrap a Keras network, pixels 0-255 (n, size, size, 3) → score (n, 1)."""
        self._size = int(network.input_shape[1])
        batch = tf.TensorSpec([None, self._size, self._size, 3], tf.float32)  # one graph for full and last batches
        self._forward = tf.function(lambda pixels: network(pixels, training=False), input_signature=[batch])

    def __call__(self, patches: PatchSet) -> np.ndarray:
        """Return float32 scores (n,) for every patch, in order."""
        batches = read_batches(patches.storage, patches.paths, BATCH)
        return np.concatenate([np.asarray(self._forward(resize(batch, self._size)))[:, 0] for batch in batches])


def score(network: keras.Model, patches: PatchSet) -> np.ndarray:
    """Return float32 scores (n,) of a Keras network (n, size, size, 3) → (n, 1) for every patch, in order."""
    return Scorer(network)(patches)
