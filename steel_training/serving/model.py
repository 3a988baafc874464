"""A published version, loaded for inference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from steel_training.bundle.input_record import InputRecord
from steel_training.bundle.layout import SAVED_MODEL
from steel_training.data.images import as_png
from steel_training.serving.lean_import import without
from steel_training.serving.whole_images import ScoredPatch, as_stored, cut, places, with_steel

# Keras imports them where they are installed, for wrappers and plots: a quarter of the CPU time of importing TensorFlow.
with without("sklearn", "matplotlib"):
    import tensorflow as tf
    from tensorflow.python.eager.polymorphic_function.concrete_function import ConcreteFunction

BATCH = 32


@dataclass(frozen=True)
class Answer:
    """Prediction for one image: score, label (0 clean, 1 defective), operating threshold, model version.

    Of an image that was cut into patches, the score is the highest of them.

    Attributes:
        cut: number of patches that the image was cut into; 0 where it is one patch.
        blank: those among them that were not scored, as without contrast they show no steel.
        patches: those whose score reaches the threshold.
    """

    score: float
    label: int
    threshold: float
    version: str
    cut: int = 0
    blank: int = 0
    patches: tuple[ScoredPatch, ...] = ()


class LoadedModel:
    """The SavedModel of one version. Its files are not needed after loading.

    Attributes:
        version: name of the version.
        patch: (width, height) of the patches that it was trained on; `None` where they are not of one size.
        grey_range: how images of more than 8 bits become 8 bits, as for its dataset; `None` where nothing is on record.
        cut: how the images of its dataset were cut; `None` where nothing is on record.
    """

    def __init__(self, version: str, folder: Path) -> None:
        self.version = version
        takes = InputRecord.read(folder)
        self.patch, self.grey_range, self.cut = takes.patch, takes.grey_range, takes.cut
        # Kept because the signature does not keep the variables alive.
        self._module: tf.Module = tf.saved_model.load(str(folder / SAVED_MODEL))
        self._signature: ConcreteFunction = self._module.signatures["serving_default"]

    def score(self, files: Sequence[bytes]) -> list[Answer]:
        """Score image files, as returned by `images.without_tiff`; larger ones than a patch are cut into patches. Thread-safe.

        Raises:
            ImageUnreadable: an image is smaller than a patch.
        """
        corners = [self.places(data) for data in files]
        files = [as_stored(data, self.cut) for data in files]
        answers: list[Answer] = []
        start = 0
        while start < len(files):
            if self.patch and corners[start]:
                answers.append(self._score_cut(files[start], corners[start], self.patch))
                start += 1
                continue
            end = next((end for end in range(start, len(files)) if corners[end]), len(files))
            answers += self._score_patches(files[start:end])
            start = end
        return answers

    def places(self, data: bytes) -> list[tuple[int, int]]:
        """Return the left and top edges of the patches of an image; none for an image of one patch.

        Raises:
            ImageUnreadable: the image is smaller than a patch.
        """
        return places(data, self.patch, self.cut)

    def _score_cut(self, data: bytes, every: list[tuple[int, int]], patch: tuple[int, int]) -> Answer:
        corners = with_steel(data, every, patch, self.cut)
        found = self._score_patches(cut(data, corners, patch))
        highest = max(found, key=lambda answer: answer.score)
        patches = tuple(
            ScoredPatch(x, y, *patch, answer.score)
            for (x, y), answer in zip(corners, found, strict=True)
            if answer.label
        )
        return replace(highest, cut=len(every), blank=len(every) - len(corners), patches=patches)

    def _score_patches(self, files: Iterable[bytes]) -> list[Answer]:
        answers: list[Answer] = []
        waiting = iter(files)
        while batch := list(islice(waiting, BATCH)):
            found = self._signature(image_bytes=tf.constant(batch))
            columns = zip(*(found[name].numpy() for name in ("score", "label", "threshold")), strict=True)
            answers += [Answer(float(s), int(label), float(t), self.version) for s, label, t in columns]
        return answers

    def warm_up(self) -> None:
        """Score a black patch, so that no caller waits for TensorFlow's first call."""
        width, height = self.patch or (64, 64)
        self._score_patches([as_png(np.zeros((height, width, 3), np.uint8))])
