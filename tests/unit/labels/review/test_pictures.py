"""Pictures have names that say nothing, hold pixels only, and none outside the review is read."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from steel_training.labels.review.pictures import Pictures, PictureUnknown, PictureUnshowable
from steel_training.storage import ObjectNotFound, open_dataset

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    telling = PngInfo()
    telling.add_text("Comment", "this is a scratch")
    Image.fromarray(PIXELS).save(tmp_path / "scratch.png", pnginfo=telling)
    Image.fromarray(PIXELS).save(tmp_path / "a.tif")
    (tmp_path / "b.png").write_bytes(b"no image")
    return tmp_path


def pictures(folder: Path, key: bytes = b"key") -> Pictures:
    return Pictures(open_dataset(folder), ["scratch.png", "a.tif", "b.png", "gone.png"], key)


def test_a_picture_holds_its_pixels_and_nothing_else(folder: Path) -> None:
    found = pictures(folder)
    for path in ("scratch.png", "a.tif"):
        data, kind = found.read(found.name(path))
        image = Image.open(io.BytesIO(data))
        assert (kind, image.format) == ("image/png", "PNG")
        assert np.array_equal(np.asarray(image.convert("L")), PIXELS)
        assert b"scratch" not in data


def test_names_say_nothing_and_depend_on_the_key(folder: Path) -> None:
    name = pictures(folder).name("scratch.png")
    assert len(name) == 32
    assert name != pictures(folder, b"other").name("scratch.png")


def test_only_pictures_of_the_review_are_read(folder: Path) -> None:
    (folder / "secret.png").write_bytes((folder / "scratch.png").read_bytes())
    found = pictures(folder)
    for name in (found.name("secret.png"), "scratch.png", "", "../x"):
        with pytest.raises(PictureUnknown):
            found.read(name)


def test_what_is_damaged_or_gone_is_named(folder: Path) -> None:
    found = pictures(folder)
    with pytest.raises(PictureUnshowable, match="not a PNG"):
        found.read(found.name("b.png"))
    with pytest.raises(ObjectNotFound):
        found.read(found.name("gone.png"))


def test_without_pillow_files_are_sent_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "steel_training.data.images", None)
    found = pictures(folder)
    assert found.read(found.name("scratch.png")) == ((folder / "scratch.png").read_bytes(), "image/png")
    with pytest.raises(PictureUnshowable, match="labels review"):
        found.read(found.name("a.tif"))
