"""A published version in memory, ready to score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from steel_training.bundle.layout import SAVED_MODEL
from steel_training.data.images import as_png

BATCH = 32


@dataclass(frozen=True)
class Answer:
    """What the model says of one image: score, label (0 clean, 1 defective), the threshold between them, its version."""

    score: float
    label: int
    threshold: float
    version: str


class LoadedModel:
    """The SavedModel of one version. Its files are read at once and no longer needed afterwards."""

    def __init__(self, version: str, folder: Path) -> None:
        self.version = version
        # The signature alone would not keep the variables alive.
        self._module: Any = tf.saved_model.load(str(folder / SAVED_MODEL))
        self._signature: Any = self._module.signatures["serving_default"]

    def score(self, files: Sequence[bytes]) -> list[Answer]:
        """Scores image files, as `images.without_tiff` returns them; any number, `BATCH` at a time. Thread-safe."""
        answers: list[Answer] = []
        for start in range(0, len(files), BATCH):
            found = self._signature(image_bytes=tf.constant(files[start : start + BATCH]))
            columns = zip(*(found[name].numpy() for name in ("score", "label", "threshold")), strict=True)
            answers += [Answer(float(s), int(label), float(t), self.version) for s, label, t in columns]
        return answers

    def warm_up(self) -> None:
        """Scores a black patch, so that no caller waits for what TensorFlow does at the first call."""
        self.score([as_png(np.zeros((64, 64, 3), np.uint8))])
