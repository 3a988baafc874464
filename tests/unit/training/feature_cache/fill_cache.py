"""Fills a cache with the patches of a folder, slowly; run twice at once by `test_cache.py`."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from steel_training.data.patches import PatchSet
from steel_training.storage import open_storage
from steel_training.training.feature_cache import FeatureCache


def fill_cache(patches: Path, scratch: Path, count: int) -> None:
    """Computes the first `count` patches of a folder into a scratch folder."""
    names = tuple(f"{number}.png" for number in range(count))
    part = PatchSet(open_storage(patches), names, np.zeros(count, int), "a")
    FeatureCache(scratch).arrays(part, _slow, key={}, size=16, augmentations=2)


def _slow(pixels: np.ndarray) -> list[np.ndarray]:
    """Stands in for a network that takes its time."""
    time.sleep(0.3)
    return [np.asarray(pixels), np.asarray(pixels).mean((1, 2))]
