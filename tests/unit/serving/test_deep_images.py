"""Images of 12 and 16 bits are scored with the grey range that their model's dataset was ingested with, and with no other."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steel_training.bundle.input_record import InputRecord
from steel_training.cli import main
from steel_training.data.grey_range import GreyRange, GreyRangeInvalid
from steel_training.registry import Registry
from steel_training.serving.prediction import GreyRangeContradicted, ImageNotFound, predict
from steel_training.storage import open_storage

RANGE = GreyRange(100, 3000)


@pytest.fixture
def published(exported: dict[str, Path], tmp_path: Path) -> Callable[[InputRecord], Registry]:
    """Publishes v1 as a model of patches and a grey range."""

    def publish(takes: InputRecord) -> Registry:
        shutil.copytree(exported["v1"], tmp_path / "made")
        takes.write(tmp_path / "made")
        registry = Registry(open_storage(tmp_path / "store"), "steel-defects")
        registry.publish(tmp_path / "made", "v1")
        registry.promote("v1")
        return registry

    return publish


def saved(path: Path, pixels: np.ndarray) -> str:
    Image.fromarray(pixels).save(path)
    return str(path)


def steel(height: int = 40, width: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4096, (height, width)).astype(np.uint16)


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_a_deep_patch_is_scored_as_the_patch_that_ingest_makes_of_it(published, tmp_path, name) -> None:
    registry = published(InputRecord((40, 40), RANGE))
    deep, made = saved(tmp_path / name, steel()), saved(tmp_path / "made.png", RANGE.to_8_bits(steel()))
    found, expected = predict(registry, [deep, made])
    assert found["score"] == expected["score"]
    (other,) = predict(registry, [saved(tmp_path / "other.png", GreyRange(0, 4095).to_8_bits(steel()))])
    assert found["score"] != other["score"], "the range is what makes the score"


def test_a_deep_whole_image_is_cut_and_drawn(published, tmp_path) -> None:
    registry = published(InputRecord((40, 40), RANGE))
    deep = saved(tmp_path / "deep.png", steel(70, 100))
    whole = saved(tmp_path / "whole.png", RANGE.to_8_bits(steel(70, 100)))
    found, expected = predict(registry, [deep, whole], overlays=tmp_path / "shown")
    assert found["cut"] == 6
    assert {**found, "image": ""} == {**expected, "image": ""}
    assert Image.open(tmp_path / "shown" / "deep.png.png").size == (100, 70)


def test_without_a_range_on_record_it_has_to_be_typed(published, tmp_path, capsys) -> None:
    registry = published(InputRecord((40, 40)))
    deep, made = saved(tmp_path / "deep.png", steel()), saved(tmp_path / "made.png", RANGE.to_8_bits(steel()))
    with pytest.raises(ImageNotFound, match=r"deep\.png cannot be scored: 16 bits per pixel.*--grey-range 0:4095"):
        predict(registry, [made, deep])
    command = ["predict", deep, "--store", str(tmp_path / "store")]
    assert main(command) == 2
    assert "--grey-range" in capsys.readouterr().err
    assert main([*command, "--grey-range", "100:3000"]) == 0
    assert f"{predict(registry, [made])[0]['score']:.4f}" in capsys.readouterr().out
    assert main([*command, "--grey-range", "3000:100"]) == 2


def test_a_range_that_contradicts_the_version_is_refused(published, tmp_path) -> None:
    registry, deep = published(InputRecord((40, 40), RANGE)), saved(tmp_path / "deep.png", steel())
    with pytest.raises(GreyRangeContradicted, match="is 0:4095, but version v1 was trained on .* 100:3000"):
        predict(registry, [deep], grey_range=GreyRange(0, 4095))
    assert predict(registry, [deep], grey_range=RANGE) == predict(registry, [deep])


def test_record_is_read_back_and_an_old_bundle_shows_its_patches(tmp_path) -> None:
    assert InputRecord.read(tmp_path) == InputRecord()
    (tmp_path / "golden").mkdir()
    data = io.BytesIO()
    Image.fromarray(np.zeros((30, 50), np.uint8)).save(data, format="PNG")
    (tmp_path / "golden" / "00.png").write_bytes(data.getvalue())
    assert InputRecord.read(tmp_path) == InputRecord((50, 30))
    InputRecord((40, 40), RANGE).write(tmp_path)
    assert InputRecord.read(tmp_path) == InputRecord((40, 40), RANGE)
    InputRecord().write(tmp_path)
    assert InputRecord.read(tmp_path) == InputRecord((50, 30)), "by its golden sample"
    (tmp_path / "input.json").write_text('{"patch": [40, 40], "grey_range": {"low": 7}}')
    with pytest.raises(GreyRangeInvalid, match="of the version has the grey range"):
        InputRecord.read(tmp_path)
