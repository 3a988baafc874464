from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steel_training.data.dataset import find_dataset
from steel_training.ingest import make_sample
from steel_training.ingest.cut_rule import CutRule


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


# Of the image `a` in `plates`: left, top, right, bottom; exactly four patches of 8 pixels.
DEFECT = (16, 24, 32, 40)
SMALL = CutRule(patch=8, stride=8, defective_min=0.5)
PATCHES = {("a", 16, 24), ("a", 24, 24), ("a", 16, 32), ("a", 24, 32)}


@pytest.fixture
def plates(tmp_path, save, steel) -> Path:
    """A folder with images `a` and `b` of 64×48 pixels in `images`; what `annotated` expects."""
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.png", steel(48, 64, seed=ord(name)))
    return tmp_path


@pytest.fixture
def annotated() -> Callable[[Path], None]:
    """Checks a dataset of `plates`: the defect of `a` is in its four patches and in no other, and every other patch is clean."""

    def check(out: Path, kind: str = "pit") -> None:
        table = find_dataset(str(out)).manifest
        defective = table[table["label"] == 1]
        assert set(defective[["source_id", "x", "y"]].itertuples(index=False, name=None)) == PATCHES
        assert set(defective["defect_type"]) == {kind}
        assert len(table) == 2 * 8 * 6

    return check
