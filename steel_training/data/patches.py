"""The patches of one part, and what a patch is known by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from steel_training.storage import Storage

DIGEST = 16


@dataclass(frozen=True)
class PatchSet:
    """The patches of one part, in a fixed order.

    Attributes:
        storage: where the dataset lies.
        paths: files relative to it.
        labels: int, (n,), 0 clean and 1 defective.
        fingerprint: of the dataset version: while it stays, so does every pixel.
    """

    storage: Storage
    paths: tuple[str, ...]
    labels: np.ndarray
    fingerprint: str

    def __len__(self) -> int:
        return len(self.paths)

    def identity(self) -> str:
        """Names these patches of this dataset version, whatever the labels."""
        total = hashlib.sha256(f"{self.fingerprint}\0{len(self.paths)}".encode())
        for path in self.paths:
            total.update(f"\0{path}".encode())
        return total.hexdigest()[:32]


def pixel_digest(pixels: np.ndarray) -> bytes:
    """What a patch is known by, whatever its file or name: a hash of its pixels (height, width, 3), `DIGEST` bytes."""
    total = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=DIGEST)
    total.update(np.ascontiguousarray(pixels).data)
    return total.digest()
