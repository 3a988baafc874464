from __future__ import annotations

import json

import numpy as np
import pytest

from steel_training.cli import main
from steel_training.ingest.inspection import NothingToInspect, inspect
from tests.unit.ingest import test_coco as coco
from tests.unit.ingest import test_cvat as cvat
from tests.unit.ingest import test_labelstudio as labelstudio
from tests.unit.ingest import test_voc as voc

FILES = {
    "voc": {"xml/a.xml": voc.annotation(("pit", 17, 25, 32, 40), width=64, height=48)},
    "coco": {"coco.json": json.dumps(coco.content(images=coco.content()["images"][:1]))},
    "labelme": {"labels/a.json": json.dumps({"shapes": [{"label": "pit", "points": [[1, 1], [9, 1], [9, 9]]}]})},
    "labelstudio": {"ls.json": json.dumps([labelstudio.task("a.png", [labelstudio.result(labelstudio.RECTANGLE)])])},
    "cvat": {"cvat.xml": f'{cvat.HEAD}<image name="a.png" width="64" height="48"></image></annotations>'},
    "yolo": {"labels/a.txt": "0 0.375 0.6666667 0.25 0.3333333\n", "data.yaml": "names: [pit]\n"},
    "severstal": {"train.csv": "ImageId,ClassId,EncodedPixels\na.png,1,1 5\n"},
}


@pytest.mark.parametrize("kind", sorted(FILES))
def test_the_command_that_is_printed_works(plates, kind, capsys) -> None:
    for name, text in FILES[kind].items():
        (plates / name).parent.mkdir(exist_ok=True)
        (plates / name).write_text(text)
    text = inspect(str(plates))
    (command,) = [line.split() for line in text.splitlines() if line.startswith("    steel-training ingest")]
    assert command[2] == kind
    if kind != "labelstudio":  # whose tasks only ingest itself reads
        assert "1 of 2 images have no annotation: --missing skip" in text
    command = [str(plates / "out") if word == "OUT" else word for word in command[1:]]
    skip = [] if "--missing" in command else ["--missing", "skip"]
    assert main([*command, "--patch", "24", *skip]) == 0
    assert json.loads(capsys.readouterr().out)["sources"] == 1


def test_masks_are_found_by_suffix_and_by_folder(plates, save, steel) -> None:
    for name in ("a", "b"):
        save(plates / "images" / f"{name}_GT.png", np.zeros((48, 64), np.uint8))
    assert f"masks {plates} {plates} OUT --mask-suffix _GT" in inspect(str(plates))
    for name in ("a", "b"):
        (plates / "masks").mkdir(exist_ok=True)
        (plates / "images" / f"{name}_GT.png").rename(plates / "masks" / f"{name}.png")
    assert f"masks {plates} {plates} OUT --mask-folder images=masks" in inspect(str(plates))


def test_layouts_of_folders_are_found(tmp_path, save, steel) -> None:
    for name in ("ok/1", "pit/1"):
        save(tmp_path / "classes" / f"{name}.png", steel(64, 64))
    assert f"folders {tmp_path}/classes OUT --clean-names ok" in inspect(str(tmp_path / "classes"))
    for name in ("train/good/1", "test/pit/1", "ground_truth/pit/1_mask"):
        save(tmp_path / "mvtec" / "plate" / f"{name}.png", steel(64, 64))
    text = inspect(str(tmp_path / "mvtec"))
    assert f"mvtec {tmp_path}/mvtec/plate OUT" in text
    assert text.count("steel-training ingest") == 1


def test_ids_of_any_kind_are_looked_at(plates) -> None:
    (plates / "coco.json").write_text(json.dumps(coco.content(categories=[{"id": [], "name": "pit"}])))
    assert "coco: coco.json" in inspect(str(plates))


def test_what_is_unknown_is_said(plates, tmp_path) -> None:
    assert "No annotation was recognised for 2 images" in inspect(str(plates))
    (plates / "manifest.csv").write_text("patch_id,path\n")
    assert "it is a dataset already" in inspect(str(plates))
    with pytest.raises(NothingToInspect, match="holds no file"):
        inspect(str(tmp_path / "nothing"))
