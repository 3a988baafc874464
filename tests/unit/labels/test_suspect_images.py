"""Pictures of the worst labels: outside the test split, faint defects made visible, read back as written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from steel_training.labels.suspect_images import SUSPECTS_SHOWN, read_suspects, stretched, write_suspect_images


def suspects(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row": np.arange(count)[::-1], "patch_id": [f"p{n}" for n in range(count)], "label": 0, "suggested": 1, "quality": 0.1,
            "score": 0.9, "group": "coil", "split": ["test" if n % 3 == 0 else "train" for n in range(count)], "neighbours": np.nan,
            "copy": False,
        }
    )  # fmt: skip


def faint(row: int) -> np.ndarray:
    return np.full((20, 20), 100 + row, np.uint8)


def test_worst_outside_the_test_split_are_shown(tmp_path: Path) -> None:
    write_suspect_images(tmp_path, suspects(60), faint)
    found = read_suspects(tmp_path)
    assert len(found) == SUSPECTS_SHOWN
    assert [each.patch_id for each in found[:3]] == ["p1", "p2", "p4"]
    assert {each.split for each in found} == {"train"}
    assert found[0].neighbours is None
    assert np.asarray(Image.open(tmp_path / "suspects" / found[0].patch)).flat[0] == 100 + 58


def test_suspects_of_the_test_split_alone_write_nothing(tmp_path: Path) -> None:
    write_suspect_images(tmp_path, suspects(1), faint)
    assert not list(tmp_path.iterdir())
    assert read_suspects(tmp_path) == []


def test_a_faint_defect_becomes_visible() -> None:
    patch = np.full((30, 30), 120, np.uint8) + np.arange(30, dtype=np.uint8) // 10
    patch[10:14] -= 6
    image = stretched(patch)
    assert (int(image.min()), int(image.max())) == (0, 255)
    assert stretched(np.full((8, 8), 7, np.uint8)).max() == 0, "a blank patch stays blank"
