"""A whole image is cut into patches as `ingest` cuts it, by a real bundle whose golden samples have the size of a patch."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steel_training.cli import main
from steel_training.data.image_cut import ImageCut
from steel_training.data.images import ImageUnreadable, as_png
from steel_training.registry import Registry
from steel_training.serving.model import LoadedModel
from steel_training.serving.prediction import ImageNotFound, OverlaysCollide, predict
from steel_training.serving.whole_images import places
from steel_training.storage import open_storage


@pytest.fixture
def patched(exported: dict[str, Path], tmp_path: Path, picture) -> Registry:
    """A registry with a version that was trained on patches of 40×40 pixels, as its golden sample shows."""
    made = tmp_path / "made"
    shutil.copytree(exported["v1"], made)
    (made / "golden").mkdir()
    (made / "golden" / "p.png").write_bytes(picture(1))
    registry = Registry(open_storage(tmp_path / "store"), "steel-defects")
    registry.publish(made, "v1")
    registry.promote("v1")
    return registry


def image(tmp_path: Path, shape: tuple[int, int]) -> tuple[str, np.ndarray]:
    """An image that is black but for noise in one corner."""
    pixels = np.zeros((*shape, 3), np.uint8)
    pixels[-40:, -40:] = np.random.default_rng(3).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    (tmp_path / "whole.png").write_bytes(as_png(pixels))
    return str(tmp_path / "whole.png"), pixels


def test_a_whole_image_has_the_score_of_its_worst_patch(patched, tmp_path, capsys) -> None:
    path, pixels = image(tmp_path, (70, 100))
    corners = [(x, y) for y in (0, 30) for x in (0, 40, 60)]
    parts = []
    for x, y in corners:
        parts.append(str(tmp_path / f"{x}_{y}.png"))
        Path(parts[-1]).write_bytes(as_png(pixels[y : y + 40, x : x + 40]))
    by_patch = predict(patched, parts)
    (row,) = predict(patched, [path], overlays=tmp_path / "shown")
    assert row["cut"] == 6
    assert row["score"] == max(part["score"] for part in by_patch)
    assert row["label"] == max(part["label"] for part in by_patch)
    expected = [(*corner, part["score"]) for corner, part in zip(corners, by_patch, strict=True) if part["label"]]
    assert [(patch["x"], patch["y"], patch["score"]) for patch in row["patches"]] == expected
    assert all("cut" not in part for part in by_patch)

    drawn = np.asarray(Image.open(tmp_path / "shown" / "whole.png.png"))
    changed = (drawn != pixels).any(axis=2)
    assert changed.any() == bool(expected)
    words = ["predict", path, "--store", patched.store.uri, "--name", patched.name]
    assert main(words) == 0
    assert f"{len(expected)} of 6 patches" in capsys.readouterr().out
    assert main([*words, "--json", "--overlay", str(tmp_path / "again")]) == 0
    assert json.loads(capsys.readouterr().out) == row


def test_patches_overlap_and_the_edge_is_left_as_in_the_dataset() -> None:
    file = io.BytesIO()
    Image.new("L", (105, 70)).save(file, "PNG")
    overlapping = ImageCut(40, 30)
    assert places(file.getvalue(), (40, 40), overlapping) == [(x, y) for y in (0, 30) for x in (0, 30, 60, 65)]
    assert places(file.getvalue(), (40, 40), replace(overlapping, cover_edges=False)) == [
        (x, y) for y in (0, 30) for x in (0, 30, 60)
    ]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_blank_patches_are_not_scored_unless_there_are_no_others(exported, mode) -> None:
    model = LoadedModel("v1", exported["v1"])
    model.patch, model.cut = (40, 40), ImageCut(40, 40, min_contrast=1.0)
    pixels = np.zeros((40, 120), np.uint8)
    black = as_png(np.asarray(Image.fromarray(pixels).convert(mode)))
    pixels[:, 50:70] = np.random.default_rng(3).integers(0, 256, (40, 20), dtype=np.uint8)
    partly = as_png(np.asarray(Image.fromarray(pixels).convert(mode)))
    alone = as_png(pixels[:, 40:80])
    on_black, on_partly, on_alone, on_patch = model.score([black, partly, alone, as_png(np.zeros((40, 40), np.uint8))])
    assert (on_partly.cut, on_partly.blank, on_partly.score) == (3, 2, pytest.approx(on_alone.score, abs=1e-6))
    assert (on_black.cut, on_black.blank, on_black.score) == (3, 0, pytest.approx(on_patch.score, abs=1e-6))


def test_colour_becomes_grey_where_it_did_in_the_dataset(exported) -> None:
    model = LoadedModel("v1", exported["v1"])
    colour = np.random.default_rng(3).integers(0, 256, (40, 80, 3), dtype=np.uint8)
    grey = np.asarray(Image.fromarray(colour).convert("L"))
    files = [as_png(colour), as_png(grey), as_png(colour[:, :40]), as_png(grey[:, :40])]
    model.patch, model.cut = (40, 40), ImageCut(40, 40)
    as_they_are = [answer.score for answer in model.score(files)]
    assert as_they_are[0] != pytest.approx(as_they_are[1], abs=1e-5)
    assert as_they_are[2] != pytest.approx(as_they_are[3], abs=1e-5)
    model.cut = ImageCut(40, 40, grey=True)
    as_stored = [answer.score for answer in model.score(files)]
    assert as_stored == pytest.approx([as_they_are[1]] * 2 + [as_they_are[3]] * 2, abs=1e-6)


def test_an_image_smaller_than_a_patch_is_refused(patched, tmp_path) -> None:
    (tmp_path / "small.png").write_bytes(as_png(np.zeros((40, 39, 3), np.uint8)))
    with pytest.raises(ImageNotFound, match=r"small\.png cannot be scored: 39×40 pixels; .* patches of 40×40"):
        predict(patched, [str(tmp_path / "small.png")])


def test_overlays_of_one_name_are_refused(patched, tmp_path) -> None:
    with pytest.raises(OverlaysCollide, match=r"named a\.png"):
        predict(patched, ["x/a.png", "y/a.png"], overlays=tmp_path / "shown")
    assert not (tmp_path / "shown").exists()


def test_the_last_patches_are_flush_with_the_edge() -> None:
    file = io.BytesIO()
    Image.new("L", (100, 70)).save(file, "PNG")
    assert places(file.getvalue(), (40, 70)) == [(0, 0), (40, 0), (60, 0)]
    assert places(file.getvalue(), (100, 70)) == []
    assert places(file.getvalue(), None) == []
    with pytest.raises(ImageUnreadable, match="100×70 pixels"):
        places(file.getvalue(), (101, 70))
