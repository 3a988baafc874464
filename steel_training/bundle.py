"""What is published: a SavedModel that needs nothing of us, the Keras model, and what shows that both are one.

The SavedModel takes image files as bytes (PNG, JPEG, BMP; grey or RGB; any size) and answers with score, label and
threshold. It is verified in a process that has TensorFlow and not this package.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from steel_training.errors import SteelTrainingError

SAVED_MODEL, KERAS_MODEL = "saved_model", "model.keras"
THRESHOLD, GATE, GOLDEN, CARD = "threshold.json", "gate.json", "golden", "model_card.md"
GOLDEN_SAMPLES = 16
TOLERANCE = 1e-4


class ExportDiffers(SteelTrainingError):
    """The exported model could not be loaded, or answers otherwise than the trained one."""


def export(model: Any, folder: Path, *, threshold: float, input_size: int, version: str) -> None:
    """Writes `saved_model/`, `model.keras` and `threshold.json`.

    Args:
        model: Keras model, pixels 0-255 (n, input_size, input_size, 3) → score (n, 1).
        folder: existing, empty.
        threshold: operating threshold on the score.
        input_size: side in pixels.
        version: shown by the model with every answer.
    """
    import tensorflow as tf

    from steel_training.features import resize

    model.save(folder / KERAS_MODEL)

    def pixels(data: Any) -> Any:
        # TensorFlow's own choice for JPEG is the fast, inexact transform: up to 7 grey levels off what training read.
        image = tf.cond(
            tf.io.is_jpeg(data),
            lambda: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"),
            lambda: tf.io.decode_image(data, channels=3, expand_animations=False),
        )
        image.set_shape((None, None, 3))
        return resize(image[None], input_size)[0]

    class Detector(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])  # type: ignore[untyped-decorator]
        def serve(self, image_bytes: Any) -> dict[str, Any]:
            batch = tf.map_fn(
                pixels, image_bytes, fn_output_signature=tf.TensorSpec((input_size, input_size, 3), tf.float32)
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
    tf.saved_model.save(detector, str(folder / SAVED_MODEL), signatures={"serving_default": detector.serve})
    (folder / THRESHOLD).write_text(json.dumps({"threshold": threshold, "input_size": input_size}), encoding="utf-8")


def write_golden(folder: Path, samples: list[tuple[str, bytes]], scores: np.ndarray) -> None:
    """Keeps image files with the scores that the trained model gave them, for verification at any time later."""
    target = folder / GOLDEN
    target.mkdir()
    for name, data in samples:
        (target / name).write_bytes(data)
    expected = {name: float(score) for (name, _), score in zip(samples, scores, strict=True)}
    (target / "scores.json").write_text(json.dumps(expected, indent=2), encoding="utf-8")


_REPLAY = """
import json, pathlib, sys, time
import tensorflow as tf
folder = pathlib.Path(sys.argv[1])
serve = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
expected = json.loads((folder / "golden" / "scores.json").read_text())
threshold = json.loads((folder / "threshold.json").read_text())["threshold"]
names = sorted(expected)
files = [(folder / "golden" / name).read_bytes() for name in names]
answer = serve(image_bytes=tf.constant(files))
scores = answer["score"].numpy()
labels = answer["label"].numpy()
milliseconds = []
for data in files * 2:
    started = time.monotonic()
    serve(image_bytes=tf.constant([data]))
    milliseconds.append(1000 * (time.monotonic() - started))
milliseconds.sort()
try:
    serve(image_bytes=tf.constant([b"no image"]))
    corrupt = "accepted"
except tf.errors.InvalidArgumentError:
    corrupt = "refused"
print(json.dumps({
    "golden": len(names),
    "max_difference": float(max(abs(s - expected[n]) for s, n in zip(scores, names))),
    "labels_differ": int(sum(int(l) != int(expected[n] >= threshold) for l, n in zip(labels, names))),
    "threshold_difference": float(max(abs(answer["threshold"].numpy() - threshold))),
    "foreign_modules": sorted(m for m in sys.modules if m.split(".")[0] == "steel_training"),
    "corrupt_image": corrupt,
    "latency_ms": {"p50": milliseconds[len(milliseconds) // 2], "p95": milliseconds[int(len(milliseconds) * 0.95)]},
}))
"""


def verify(folder: Path) -> dict[str, Any]:
    """Replays the golden samples in a clean process that cannot import this package.

    Returns:
        What the process measured: number of samples, largest difference of a score, differing labels, latency in
        milliseconds.

    Raises:
        ExportDiffers: it cannot be loaded there, gives other scores, labels or threshold than were recorded, or scores
            a file that is no image.
    """
    # -I: no PYTHONPATH and no current folder, so that only installed packages count.
    done = subprocess.run(
        [sys.executable, "-I", "-c", _REPLAY, str(folder)], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise ExportDiffers(f"The exported model cannot be used in a clean process:\n{done.stderr[-2000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    differences = _differences(measured)
    if differences:
        raise ExportDiffers(
            f"bundle.differs: the exported model answers otherwise than the trained one: {'; '.join(differences)}. "
            "Do not publish it; train again, and if it happens again look for a change of TensorFlow or of the bundle."
        )
    return {**measured, "tolerance": TOLERANCE}


def _differences(measured: Mapping[str, Any]) -> list[str]:
    found = []
    # A difference that is not a number is no small one.
    if not measured["max_difference"] <= TOLERANCE:
        found.append(f"scores differ by up to {measured['max_difference']:.6f} (at most {TOLERANCE})")
    if measured["labels_differ"]:
        found.append(f"{measured['labels_differ']} of {measured['golden']} labels differ")
    if not measured["threshold_difference"] <= TOLERANCE:
        found.append(f"its threshold is {measured['threshold_difference']:.6f} off {THRESHOLD}")
    if measured["foreign_modules"]:
        found.append(f"it needs {', '.join(measured['foreign_modules'])}")
    if measured["corrupt_image"] != "refused":
        found.append("it scores a file that is no image")
    return found
