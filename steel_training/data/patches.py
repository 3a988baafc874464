"""The patches of one split, and the digest that identifies a patch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from steel_training.storage import Storage

DIGEST = 16


@dataclass(frozen=True)
class PatchSet:
    """The patches of one split, in a fixed order.

    Attributes:
        storage: of the dataset.
        paths: files relative to it.
        labels: int, (n,), 0 clean and 1 defective.
        fingerprint: of the dataset version; equal fingerprints mean equal pixels.
    """

    storage: Storage
    paths: tuple[str, ...]
    labels: np.ndarray
    fingerprint: str

    def __len__(self) -> int:
        return len(self.paths)

    def identity(self) -> str:
        """Return an ID of these patches of this dataset version, independent of the labels; 32 hexadecimal digits."""
        total = hashlib.sha256(f"{self.fingerprint}\0{len(self.paths)}".encode())
        for path in self.paths:
            total.update(f"\0{path}".encode())
        return total.hexdigest()[:32]


def pixel_digest(pixels: np.ndarray) -> bytes:
    """Return a hash of the pixels (height, width, 3), `DIGEST` bytes: identifies a patch whatever its file or name."""
    total = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=DIGEST)
    total.update(np.ascontiguousarray(pixels).data)
    return total.digest()
