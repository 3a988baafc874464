"""Cached values of one split as one array, gathered from rows in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt


class CachedArray:
    """A read-only array (augmentations, n, …) that loads only the requested rows into memory.

    Attributes:
        shape: (augmentations, n, …).
        dtype: as stored.
    """

    def __init__(self, stored: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> None:
        """Combine the stored rows of every augmentation.

        Args:
            stored: one array (rows, …) per augmentation.
            rows: rows of the split in its order, int (n,), per augmentation.
        """
        self._stored, self._rows = list(stored), list(rows)
        self.shape: tuple[int, ...] = (len(self._stored), len(self._rows[0]), *self._stored[0].shape[1:])
        self.dtype = self._stored[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, augmentations: np.ndarray, patches: np.ndarray) -> np.ndarray:
        """Read some patches, each in one augmentation.

        Args:
            augmentations: index of the augmentation, int (m,).
            patches: positions in the split, int (m,).

        Returns:
            (m, …), as stored.
        """
        taken = np.empty((len(patches), *self.shape[2:]), self.dtype)
        for augmentation in np.unique(augmentations):
            asked = augmentations == augmentation
            taken[asked] = self._stored[augmentation][self._rows[augmentation][patches[asked]]]
        return taken

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Yield all patches of all augmentations in order, as float32 (at most `size`, …)."""
        for stored, rows in zip(self._stored, self._rows, strict=True):
            for start in range(0, len(rows), size):
                yield np.asarray(stored[rows[start : start + size]], np.float32)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        whole = np.stack([stored[rows] for stored, rows in zip(self._stored, self._rows, strict=True)])
        return whole if dtype is None else whole.astype(dtype)
