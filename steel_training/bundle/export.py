"""Exports the SavedModel, from image bytes to prediction, and `model.keras`."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import tensorflow as tf

from steel_training.bundle.decoding import decode
from steel_training.bundle.layout import KERAS_MODEL, SAVED_MODEL, THRESHOLD
from steel_training.training.preprocessing import resize

_DECODED_AT_ONCE = 4
"""Images of a batch that are decoded in parallel: the largest allowed takes 75 MB until it is resized."""


def export(model: keras.Model, folder: Path, *, threshold: float, input_size: int, version: str) -> None:
    """Write `saved_model/`, `model.keras` and `threshold.json`.

    Args:
        model: Keras model, pixels 0-255 (n, input_size, input_size, 3) → score (n, 1).
        folder: existing, empty.
        threshold: operating threshold on the score.
        input_size: side in pixels.
        version: returned by the model with every prediction.
    """
    model.save(folder / KERAS_MODEL)

    def pixels(data: tf.Tensor) -> tf.Tensor:
        return resize(decode(data)[None], input_size)[0]

    class Detector(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])  # type: ignore[untyped-decorator]
        def serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            batch = tf.map_fn(
                pixels,
                image_bytes,
                fn_output_signature=tf.TensorSpec((input_size, input_size, 3), tf.float32),
                parallel_iterations=_DECODED_AT_ONCE,
            )
            score = self.model(batch, training=False)[:, 0]
            same = tf.ones_like(score)
            return {
                "score": score,
                "label": tf.cast(score >= threshold, tf.int32),
                "threshold": same * threshold,
                "version": tf.repeat(tf.constant([version]), tf.size(score)),
            }

    detector = Detector()
    tf.saved_model.save(
        detector,
        str(folder / SAVED_MODEL),
        signatures={"serving_default": detector.serve},
        # Nobody trains what is served, and tracing the gradients of every activation takes as long as all the rest.
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )
    (folder / THRESHOLD).write_text(json.dumps({"threshold": threshold, "input_size": input_size}), encoding="utf-8")
