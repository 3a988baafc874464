"""`predict` refuses a file that would fill the memory before it decodes a pixel."""

from __future__ import annotations

import tracemalloc

import pytest

from steel_training.data.images import open_image
from steel_training.serving.prediction import ImageNotFound, predict


def test_decompression_bomb_is_refused_by_its_header(registry, bomb, picture, tmp_path) -> None:
    (tmp_path / "bomb.png").write_bytes(bomb)
    (tmp_path / "good.png").write_bytes(picture(1))
    tracemalloc.start()
    with pytest.raises(ImageNotFound, match="900000000 pixels"):
        predict(registry, [str(tmp_path / "good.png"), str(tmp_path / "bomb.png")])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_the_bomb_is_a_valid_image(bomb, monkeypatch) -> None:
    """Where the limit is lifted it decodes, so that it is the limit which the other tests see."""
    from PIL import Image

    monkeypatch.setattr("steel_training.data.images.MAX_SIDE", 30_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert open_image(bomb).size == (30_000, 30_000)
