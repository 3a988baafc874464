"""Scores of a network for the patches of a split."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from steel_training.data.images import read_batches
from steel_training.data.patches import PatchSet
from steel_training.training.preprocessing import resize

BATCH = 64


def score(network: keras.Model, patches: PatchSet) -> np.ndarray:
    """Return float32 scores (n,) of a Keras network (n, size, size, 3) → (n, 1) for every patch, in order."""
    forward = tf.function(lambda pixels: network(pixels, training=False), reduce_retracing=True)
    size = int(network.input_shape[1])
    batches = read_batches(patches.storage, patches.paths, BATCH)
    return np.concatenate([np.asarray(forward(resize(batch, size)))[:, 0] for batch in batches])
