"""Exports the SavedModel, from image bytes to prediction, and `model.keras`."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.types.experimental import ConcreteFunction

from steel_training.bundle.decoding import decode
from steel_training.bundle.input_record import InputRecord
from steel_training.bundle.layout import KERAS_MODEL, SAVED_MODEL, THRESHOLD
from steel_training.training.inference import as_constants
from steel_training.training.preprocessing import resize

_DECODED_AT_ONCE = 4
"""Images of a batch that are decoded in parallel: the largest allowed takes 75 MB until it is resized."""


def export(
    model: keras.Model,
    folder: Path,
    *,
    threshold: float,
    input_size: int,
    version: str,
    takes: InputRecord | None = None,
    constants: ConcreteFunction | None = None,
) -> None:
    """Write `saved_model/`, `model.keras`, `threshold.json` and `input.json`.

    The SavedModel holds the weights as constants: nobody trains what is served, and without variables to restore it is written and
    loaded in a quarter of the time.

    Args:
        model: Keras model, pixels 0-255 (n, input_size, input_size, 3) → score (n, 1).
        folder: existing, empty.
        threshold: operating threshold on the score.
        input_size: side in pixels.
        version: returned by the model with every prediction.
        takes: what it was trained on. The SavedModel refuses images of another size than the patches; where that is not known, it
            scales them.
        constants: the model as `as_constants` returns it, where that is at hand.
    """
    network = constants or as_constants(model)
    model.save(folder / KERAS_MODEL)
    takes = takes or InputRecord()
    takes.write(folder)

    def pixels(data: tf.Tensor) -> tf.Tensor:
        return resize(_of_size(decode(data), takes.patch)[None], input_size)[0]

    class Detector(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])  # type: ignore[untyped-decorator]
        def serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            batch = tf.map_fn(
                pixels,
                image_bytes,
                fn_output_signature=tf.TensorSpec((input_size, input_size, 3), tf.float32),
                parallel_iterations=_DECODED_AT_ONCE,
            )
            score = network(batch)[0][:, 0]
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
        # Tracing the gradients of every activation takes as long as all the rest.
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )
    (folder / THRESHOLD).write_text(json.dumps({"threshold": threshold, "input_size": input_size}), encoding="utf-8")


def _of_size(image: tf.Tensor, patch: tuple[int, int] | None) -> tf.Tensor:
    """Return a decoded image, (height, width, 3), where it has the size of a patch, (width, height).

    Scaled to the network's input, a whole image would lose its small defects and be called clean.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs: it has another size.
    """
    if patch is None:
        return image
    width, height = patch
    size = tf.shape(image)
    message = tf.strings.format(
        f"the image is {{}}x{{}} pixels (width x height); expected {width}x{height}, the size of the patches that the model was trained on. "
        "Cut the image into patches of that size, as 'steel-training predict' does, and send those",
        (size[1], size[0]),
    )

    def refused() -> tf.Tensor:
        with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
            return tf.zeros((height, width, 3), tf.uint8)

    patch_or_error = tf.cond(tf.reduce_all(size[:2] == (height, width)), lambda: image, refused)
    patch_or_error.set_shape((height, width, 3))
    return patch_or_error
