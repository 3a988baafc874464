"""Batches of cached features, shuffled before every epoch, as input of `fit`."""

from __future__ import annotations

from typing import TypeAlias

import keras
import numpy as np

from steel_training.training.feature_cache import CachedArray

Inputs: TypeAlias = np.ndarray | tuple[np.ndarray, ...]
"""What a network takes: one array (n, …), or several, float32."""


class CachedBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of cached arrays: a random augmentation per patch and epoch; unaugmented and in order without a seed.

    Attributes:
        order: patches in the order of this epoch, int (n,).
        augmentation: which one of every patch is read in this epoch, int (n,).
        random: generator that shuffles.
    """

    def __init__(
        self,
        arrays: list[CachedArray],
        labels: np.ndarray,
        batch_size: int,
        *,
        class_weights: tuple[float, float],
        seed: int | None,
    ) -> None:
        """Remember the arrays, and shuffle for the first epoch.

        Args:
            arrays: (augmentations, n, …), one per input of the network.
            labels: int (n,), 0 clean, 1 defective.
            batch_size: patches; the last batch may have fewer.
            class_weights: of clean and defective patches in the loss.
            seed: of order and augmentations.
        """
        super().__init__()
        self._arrays, self._labels, self._batch_size = arrays, labels, batch_size
        self._weights = np.array(class_weights, np.float32)
        self._shuffled, self.random = seed is not None, np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._labels) // self._batch_size)

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        augmentations, count = self._arrays[0].shape[:2]
        self.order = np.arange(count)
        self.augmentation = np.zeros(count, int)
        if self._shuffled:
            self.random.shuffle(self.order)
            self.augmentation[:] = self.random.integers(augmentations, size=count)

    def __getitem__(self, index: int) -> tuple[Inputs, np.ndarray, np.ndarray]:
        return self.take(self.rows(index))

    def rows(self, index: int) -> np.ndarray:
        """Return the patches of a batch, int (n,)."""
        return self.order[index * self._batch_size : (index + 1) * self._batch_size]

    def take(self, rows: np.ndarray) -> tuple[Inputs, np.ndarray, np.ndarray]:
        """Return input or inputs (n, …), target (n, 1) and weight (n,) of patches, all float32."""
        inputs = tuple(np.asarray(array.take(self.augmentation[rows], rows), np.float32) for array in self._arrays)
        target = self._labels[rows]
        return inputs if len(inputs) > 1 else inputs[0], target[:, None].astype(np.float32), self._weights[target]
