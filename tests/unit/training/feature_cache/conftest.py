"""Patches in a folder, and a network of two outputs that counts its calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from steel_training.data.patches import PatchSet
from steel_training.storage import open_storage
from steel_training.training.feature_cache.cache import BATCH


class Counting:
    """A network that counts the patches and augmentations it was called with."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.asked = 0

    def __call__(self, pixels: Any) -> list[Any]:
        self.asked += len(pixels)
        return list(self.network(pixels, training=False))


def _patch_set(folder: Path, numbers: range, version: str = "a") -> PatchSet:
    """Patches of these numbers; each has pixels of its own, the same in every folder."""
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return PatchSet(open_storage(folder), tuple(f"{n}.png" for n in numbers), np.arange(len(numbers)) % 2, version * 64)


@pytest.fixture(scope="session")
def patch_set() -> Callable[..., PatchSet]:
    return _patch_set


@pytest.fixture(scope="session")
def counted() -> type[Counting]:
    return Counting


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> PatchSet:
    return _patch_set(tmp_path_factory.mktemp("patches"), range(BATCH + 6))  # the last batch is not full


@pytest.fixture(scope="module")
def network() -> Any:
    import keras

    keras.utils.set_random_seed(1)
    pixels = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, [x, keras.layers.GlobalAveragePooling2D()(x)])
