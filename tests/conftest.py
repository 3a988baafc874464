"""Datasets that several kinds of tests start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image


def rolled_patch(seed: int, *, defective: bool, side: int = 48) -> np.ndarray:
    """A grey patch with rolling texture, and a dark streak of random place and strength where it is defective."""
    random = np.random.default_rng(seed)
    columns = 120 + 12 * random.standard_normal((1, side)) + random.uniform(-15, 15)
    pixels = columns + 6 * random.standard_normal((side, side))
    if defective:
        top, left = random.integers(2, side // 2, 2)
        pixels[top : top + random.integers(6, side // 2), left : left + random.integers(2, 7)] -= random.uniform(12, 45)
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Path]:
    """Writes a dataset of the contract: 300 patches of 60 photographs on 20 coils, a third of them defective."""

    def make(folder: Path, *, patches: int = 300, **columns: object) -> Path:
        (folder / "patches").mkdir(parents=True)
        rows = []
        for number in range(patches):
            defective = number % 3 == 0
            path = f"patches/p{number:04d}.png"
            Image.fromarray(rolled_patch(number, defective=defective)).save(folder / path)
            source = number // 5
            rows.append(
                {
                    "patch_id": f"p{number:04d}",
                    "path": path,
                    "label": int(defective),
                    "source_id": f"photo{source:03d}",
                    "group_id": f"coil{source % 20:02d}",
                }
            )
        pd.DataFrame(rows).assign(**columns).to_csv(folder / "manifest.csv", index=False)
        return folder

    return make


@pytest.fixture(autouse=True)
def scratch_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps caches of tests out of the user's cache folder."""
    monkeypatch.setenv("STEEL_TRAINING_SCRATCH", str(tmp_path_factory.getbasetemp() / "scratch"))
