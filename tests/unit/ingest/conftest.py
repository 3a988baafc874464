from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steel_training.ingest import make_sample


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample dataset: 10 coils, one photograph each. Read only."""
    out = tmp_path_factory.mktemp("sample") / "strips"
    make_sample(str(out), coils=10, photographs_per_coil=1)
    return out


@pytest.fixture
def save() -> Callable[[Path, np.ndarray], Path]:
    """Saves an array as an image file, making its folder."""

    def save(path: Path, pixels: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return save


@pytest.fixture
def steel() -> Callable[..., np.ndarray]:
    """Draws grey noise: (height, width) → uint8."""

    def steel(height: int, width: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(60, 140, (height, width), dtype=np.uint8)

    return steel
