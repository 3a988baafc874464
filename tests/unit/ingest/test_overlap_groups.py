"""Photographs that show the same steel get one group, and the table is one that an ingest takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training.cli import main
from steel_training.ingest.grouping import grouping
from steel_training.ingest.overlap_groups import group_overlapping_images
from steel_training.ingest.synthetic.sample import photograph_coil


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Six strips; of the first, a turned cut and a second cut that only overlaps the turned one."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(6):
        (photograph,) = photograph_coil(number, photographs=1, shape=(256, 448), seed=5)
        if number == 0:
            Image.fromarray(np.rot90(photograph.pixels[:, 150:350]).copy()).save(folder / "turned.png")
            Image.fromarray(photograph.pixels[:, 280:].copy()).save(folder / "far.jpg", quality=92)
        pixels = photograph.pixels[:, :200] if number == 0 else photograph.pixels
        Image.fromarray(pixels.copy()).save(folder / f"strip{number}.png")
    return folder


def test_what_shows_the_same_steel_is_joined_through_others_too(photographs: Path) -> None:
    table = group_overlapping_images(str(photographs)).set_index("source_id")["group_id"]
    assert table["far"] == table["turned"] == table["strip0"]
    assert table.nunique() == 6
    assert all(table[f"strip{number}"] == f"strip{number}" for number in range(1, 6))


def test_the_command_writes_the_table_that_an_ingest_takes(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "groups.csv"
    assert main(["ingest", "groups", str(photographs), str(out)]) == 0
    assert "8 images in 6 groups; 5 overlap with no other, the largest group has 3" in capsys.readouterr().err
    table = pd.read_csv(out)
    told = grouping(table["source_id"], table=str(out))
    assert told.metadata("far") == told.metadata("strip0")
    assert main(["ingest", "groups", str(photographs), str(out)]) == 2
    assert "exists" in capsys.readouterr().err
