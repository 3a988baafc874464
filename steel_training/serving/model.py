"""A published version, loaded for inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.eager.polymorphic_function.concrete_function import ConcreteFunction

from steel_training.bundle.layout import SAVED_MODEL
from steel_training.data.images import as_png

BATCH = 32


@dataclass(frozen=True)
class Answer:
    """Prediction for one image: score, label (0 clean, 1 defective), operating threshold, model version."""

    score: float
    label: int
    threshold: float
    version: str


class LoadedModel:
    """The SavedModel of one version. Its files are not needed after loading."""

    def __init__(self, version: str, folder: Path) -> None:
        self.version = version
        # Kept because the signature does not keep the variables alive.
        self._module: tf.Module = tf.saved_model.load(str(folder / SAVED_MODEL))
        self._signature: ConcreteFunction = self._module.signatures["serving_default"]

    def score(self, files: Sequence[bytes]) -> list[Answer]:
        """Scores image files, as returned by `images.without_tiff`, in batches of `BATCH`. Thread-safe."""
        answers: list[Answer] = []
        for start in range(0, len(files), BATCH):
            found = self._signature(image_bytes=tf.constant(files[start : start + BATCH]))
            columns = zip(*(found[name].numpy() for name in ("score", "label", "threshold")), strict=True)
            answers += [Answer(float(s), int(label), float(t), self.version) for s, label, t in columns]
        return answers

    def warm_up(self) -> None:
        """Scores a black patch, so that no caller waits for TensorFlow's first call."""
        self.score([as_png(np.zeros((64, 64, 3), np.uint8))])
