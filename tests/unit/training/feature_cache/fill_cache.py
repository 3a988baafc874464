"""Fills a cache with the patches of a folder, slowly; run twice at once by `test_cache.py`.

Run by `runpy` in a forked process, which has loaded what this needs. Globals that it gets: `patches` and `scratch`, two folders;
`count`, the patches.
"""

from __future__ import annotations

import time

import numpy as np

from steel_training.data.patches import PatchSet
from steel_training.storage import open_storage
from steel_training.training.feature_cache import FeatureCache


def slow(pixels: np.ndarray) -> list[np.ndarray]:
    """Stands in for a network that takes its time."""
    time.sleep(0.3)
    return [np.asarray(pixels), np.asarray(pixels).mean((1, 2))]


names = tuple(f"{n}.png" for n in range(count))  # noqa: F821
part = PatchSet(open_storage(patches), names, np.zeros(count, int), "a")  # noqa: F821
FeatureCache(scratch).arrays(part, slow, key={}, size=16, augmentations=2)  # noqa: F821
