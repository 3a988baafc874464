"""LiteRT files for small devices, float and int8, each included only if its predictions match the trained model's.

A file takes pixels 0-255, float32 (n, size, size, 3), and returns the score (n, 1). It is compared on validation patches at
the operating threshold, because quantisation may shift scores across the threshold although their ranking is unchanged.

The int8 file has int8 weights and float arithmetic (dynamic range). Full int8 rounds the activations as well, so it cannot help where
int8 weights are too coarse already: with EfficientNetB0 it lost the small variances that the head divides by, and missed nearly all
defects, after a minute of conversion.
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging as absl_logging
from tensorflow.python.eager.polymorphic_function.concrete_function import ConcreteFunction

from steel_training.bundle.layout import LITE, LITE_RECORD, LITE_TOLERANCE
from steel_training.storage.json_types import Json
from steel_training.training.inference import as_constants

log = logging.getLogger(__name__)

RECALL_DROP, SPECIFICITY_DROP = 0.005, 0.02
ROUNDING = 1e-5
"""The operating threshold is the score of a validation patch: float rounding must not change the label of that patch."""
CHECKED_PATCHES = 1000
"""For the comparison."""

_QUANTISATION = {"float": "none", "int8": "dynamic range"}


@dataclass(frozen=True)
class LiteCheck:
    """Comparison of a LiteRT file with the Keras model.

    Attributes:
        quantisation: `none` or `dynamic range`; in bundles of earlier versions also `full int8`.
        recall_drop: drop of recall on validation at the operating threshold; negative for a gain.
        specificity_drop: drop of specificity, likewise.
        max_difference: largest difference of a golden sample's score.
        labels_differ: number of golden samples with another label.
    """

    quantisation: str
    recall_drop: float
    specificity_drop: float
    max_difference: float
    labels_differ: int

    def objection(self, tolerance: float) -> str | None:
        """Return why the file is left out, or `None`."""
        if not self.recall_drop <= RECALL_DROP + 1e-9:
            return f"recall on validation drops by {100 * self.recall_drop:.1f} points; at most {100 * RECALL_DROP} are allowed"
        if not self.specificity_drop <= SPECIFICITY_DROP + 1e-9:
            return (
                f"specificity on validation drops by {100 * self.specificity_drop:.1f} points; "
                f"at most {100 * SPECIFICITY_DROP:g} are allowed"
            )
        if not self.max_difference <= tolerance:
            return f"a golden score differs by {self.max_difference:.4f}; at most {tolerance:g} is allowed"
        if self.labels_differ:
            return f"{self.labels_differ} golden labels differ"
        return None


def compare(
    labels: np.ndarray,
    keras: np.ndarray,
    lite: np.ndarray,
    golden_keras: np.ndarray,
    golden_lite: np.ndarray,
    *,
    threshold: float,
    quantisation: str,
) -> LiteCheck:
    """Compare scores (n,) of both models on validation patches and golden samples. NaN in `lite` fails the comparison.

    Args:
        labels: of the validation patches, 0 or 1.
        keras: their scores by the Keras model.
        lite: their scores by the LiteRT file.
        golden_keras: scores of the golden samples by the Keras model.
        golden_lite: the same by the LiteRT file.
        threshold: operating threshold.
        quantisation: how the file was made.
    """
    if not (np.all(np.isfinite(lite)) and np.all(np.isfinite(golden_lite))):
        return LiteCheck(quantisation, 1.0, 1.0, 1.0, len(golden_lite))
    defects, clean = labels == 1, labels == 0
    from_here = threshold - ROUNDING
    return LiteCheck(
        quantisation,
        recall_drop=float(np.mean(keras[defects] >= from_here) - np.mean(lite[defects] >= from_here)),
        specificity_drop=float(np.mean(keras[clean] < from_here) - np.mean(lite[clean] < from_here)),
        max_difference=float(np.max(np.abs(golden_lite - golden_keras))),
        labels_differ=int(np.sum((golden_lite >= threshold) != (golden_keras >= threshold))),
    )


def balanced(labels: np.ndarray, most: int) -> np.ndarray:
    """Return indices, ascending, of defective patches and as many clean ones, at most `most` in total, spread evenly."""
    chosen = []
    defects = min(most // 2, int(np.sum(labels == 1)))
    for label in (1, 0):
        members = np.flatnonzero(labels == label)
        count = min(len(members), max(1, defects))
        chosen.append(members[np.linspace(0, max(0, len(members) - 1), count).astype(int)])
    return np.sort(np.concatenate(chosen))


def export_lite(
    network: tf.keras.Model,
    folder: Path,
    *,
    threshold: float,
    validation: tuple[np.ndarray, np.ndarray, np.ndarray],
    golden: tuple[np.ndarray, np.ndarray],
    constants: ConcreteFunction | None = None,
) -> dict[str, Json]:
    """Write the LiteRT files that pass their comparison, and `lite.json` with the reasons for leaving others out.

    Args:
        network: Keras model, pixels 0-255 (n, size, size, 3) → score (n, 1).
        folder: the bundle.
        threshold: operating threshold.
        validation: pixels, labels (n,), scores (n,) by the Keras model.
        golden: pixels and scores of the golden samples.
        constants: the network as `as_constants` returns it, where that is at hand.

    Returns:
        For `float` and `int8`: `included`, `reason`, `bytes`, and the fields of `LiteCheck`.
    """
    started = time.monotonic()
    pixels, labels, expected = validation
    frozen = constants or as_constants(network)
    record: dict[str, Json] = {}
    for name, quantisation in _QUANTISATION.items():
        entry: dict[str, Json] = {"quantisation": quantisation}
        reason: str | None
        data = _convert(frozen, quantisation)
        if isinstance(data, str):
            reason = data
        else:
            answer = lite_scorer(data)
            check = compare(
                labels,
                expected,
                answer(pixels),
                golden[1],
                answer(golden[0]),
                threshold=threshold,
                quantisation=quantisation,
            )
            entry, reason = {"bytes": len(data), **asdict(check)}, check.objection(LITE_TOLERANCE[name])
            if reason is None:
                (folder / LITE[name]).write_bytes(data)
        record[name] = {**_NOTHING_MEASURED, **entry, "included": reason is None, "reason": reason}
        log.info("LiteRT %s: %s", name, "included" if reason is None else f"left out ({reason})")
    record["seconds"] = round(time.monotonic() - started, 1)
    (folder / LITE_RECORD).write_text(json.dumps(record, indent=2, allow_nan=False), encoding="utf-8")
    return record


_NOTHING_MEASURED: Mapping[str, None] = {
    "bytes": None,
    "recall_drop": None,
    "specificity_drop": None,
    "max_difference": None,
    "labels_differ": None,
    "quantisation": None,
}


def lite_scorer(data: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from pixels (n, size, size, 3), float32, to scores (n,), patch by patch, of a LiteRT file."""
    with warnings.catch_warnings():
        # TensorFlow warns that its interpreter moves to another package; the pinned version still has it.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = tf.lite.Interpreter(model_content=data, num_threads=2)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def one(pixels: np.ndarray) -> float:
        interpreter.set_tensor(taken, pixels[None].astype(np.float32))
        interpreter.invoke()
        return float(interpreter.get_tensor(given).ravel()[0])

    return lambda pixels: np.array([one(patch) for patch in pixels])


def _convert(frozen: ConcreteFunction, quantisation: str) -> bytes | str:
    """Return the LiteRT file, or the reason why conversion failed."""
    # The converter warns at every conversion that it is not given the object with the variables.
    absl_logging.set_verbosity(absl_logging.ERROR)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    if quantisation != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    try:
        return bytes(converter.convert())
    except Exception as error:
        return f"conversion failed ({str(error).strip().splitlines()[0][:200]})"
