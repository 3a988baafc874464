"""The fine-tuning recipe of the Keras examples: pixels through the whole network, every epoch.

Freeze the backbone and train the head; unfreeze the top blocks, BatchNorm frozen, and train on at a lower rate. Patches are decoded
once and kept in memory, and `tf.data` resizes, changes and prefetches them: the recipe as a careful user would write it.
Source of the recipe: keras.io, "Image classification via fine-tuning with EfficientNet" and "Transfer learning & fine-tuning".
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from steel_training.config import Config
from steel_training.training.preprocessing import AUGMENTATIONS, augment, resize


@dataclass(frozen=True)
class Pixels:
    """Decoded patches: uint8 (n, height, width, 3), and their labels, int (n,)."""

    images: np.ndarray
    labels: np.ndarray


def train(network: Any, from_layer: str, config: Config, train: Pixels, val: Pixels, size: int) -> float:
    """Train a network of ours by the recipe; return the seconds that its two `fit`s took.

    The standardisation layer gets mean and spread beforehand, and that pass is not timed: the recipe has none.
    """
    import keras
    import tensorflow as tf

    training, seed = config.training, config.data.seed
    weight = tf.constant([training.class_weights.clean, training.class_weights.defective], tf.float32)

    def changed(image: Any) -> Any:
        batch = resize(image[None], size)
        which = tf.random.uniform((), 0, training.views, tf.int32)
        return tf.switch_case(
            which, [lambda name=name: augment(batch, name) for name in AUGMENTATIONS[: training.views]]
        )[0]

    def batches(pixels: Pixels, *, shuffled: bool) -> Any:
        data = tf.data.Dataset.from_tensor_slices((pixels.images, pixels.labels))
        if shuffled:
            data = data.shuffle(len(pixels.labels), seed=seed)
        data = data.map(
            lambda image, label: (
                changed(image) if shuffled else resize(image[None], size)[0],
                tf.cast(label[None], tf.float32),
                tf.gather(weight, label),
            ),
            tf.data.AUTOTUNE,
        )
        return data.batch(training.batch_size).prefetch(tf.data.AUTOTUNE)

    names = [layer.name for layer in network.layers]
    pooled = keras.Model(network.input, network.get_layer("pooled_taps").output)
    network.get_layer("standardise").adapt(pooled.predict(batches(train, shuffled=False), verbose=0))

    def fit(epochs: int, rate: float, trained: set[str]) -> None:
        for layer in network.layers:
            layer.trainable = layer.name in trained and not isinstance(layer, keras.layers.BatchNormalization)
        steps = -(-len(train.labels) // training.batch_size)
        optimizer = keras.optimizers.Adam(rate, use_ema=True, ema_momentum=1 - 1 / max(2, steps))
        network.compile(optimizer, "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
        network.fit(
            batches(train, shuffled=True), validation_data=batches(val, shuffled=False), epochs=epochs, verbose=0
        )
        optimizer.finalize_variable_values(network.trainable_variables)

    started = time.monotonic()
    fit(training.head.epochs, training.head.learning_rate, {"head", "score"})
    fit(
        training.fine_tune.epochs,
        training.fine_tune.learning_rate,
        {*names[names.index(from_layer) + 1 :]} - {"standardise"},
    )
    return time.monotonic() - started
