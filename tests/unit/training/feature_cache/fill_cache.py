"""Fills a cache with the patches of a folder, slowly; run twice at once by `test_cache.py`.

python fill_cache.py PATCHES SCRATCH COUNT
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from steel_training.data.patches import PatchSet
from steel_training.storage import open_storage
from steel_training.training.feature_cache import FeatureCache

patches, scratch, count = sys.argv[1], sys.argv[2], int(sys.argv[3])


def slow(pixels: np.ndarray) -> list[np.ndarray]:
    """Stands in for a network that takes its time."""
    time.sleep(0.3)
    return [np.asarray(pixels), np.asarray(pixels).mean((1, 2))]


part = PatchSet(open_storage(patches), tuple(f"{n}.png" for n in range(count)), np.zeros(count, int), "a")
FeatureCache(Path(scratch)).arrays(part, slow, key={}, size=16, augmentations=2)
