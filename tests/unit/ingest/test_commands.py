from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from steel_training.cli import main
from steel_training.data.dataset import find_dataset
from steel_training.errors import UsageError
from steel_training.ingest.commands import parse_names


def run(arguments: Sequence[object]) -> int:
    return main([str(argument) for argument in arguments])


def test_sample_says_what_it_made_to_people_and_to_machines(tmp_path, capsys) -> None:
    assert run(["sample", tmp_path / "out", "--coils", 2, "--photographs-per-coil", 1, "--patch", 32]) == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert set(result) == {"dataset", "patches", "defective", "sources", "groups"}
    assert result["patches"] == len(find_dataset(result["dataset"]).manifest)
    assert "sample  2/2 coils" in said.err
    assert "patches" in said.err


def test_masks_takes_names_groups_and_stride(tmp_path, save, steel, capsys) -> None:
    save(tmp_path / "images" / "coil7_1.png", steel(64, 128))
    mask = np.zeros((64, 128), np.uint8)
    mask[:, 64:] = 3
    save(tmp_path / "masks" / "coil7_1.png", mask)
    code = run(
        ["ingest", "masks", tmp_path / "images", tmp_path / "masks", tmp_path / "out", "--patch", 32,
         "--names", "1=inclusion,3=scratches", "--group-regex", "^(coil[0-9]+)_"]
    )  # fmt: skip
    assert code == 0
    assert json.loads(capsys.readouterr().out)["patches"] == 8
    table = find_dataset(str(tmp_path / "out")).manifest
    assert set(table["defect_type"].dropna()) == {"scratches"}
    assert set(table["group_id"]) == {"coil7"}
    assert sorted(table["x"].unique()) == [0, 32, 64, 96]


def test_severstal_default_stride_and_one_class_warning(tmp_path, save, steel, capsys) -> None:
    save(tmp_path / "images" / "a.jpg", steel(64, 256))
    (tmp_path / "train.csv").write_text("ImageId,ClassId,EncodedPixels\na.jpg,1,\n")
    assert (
        run(["ingest", "severstal", tmp_path / "images", tmp_path / "train.csv", tmp_path / "out", "--patch", 64]) == 0
    )
    said = capsys.readouterr()
    assert json.loads(said.out)["patches"] == 7
    assert "All patches are clean" in said.err


def test_voc_takes_whole_photographs(tmp_path, save, steel, capsys) -> None:
    save(tmp_path / "images" / "a.png", steel(40, 40))
    (tmp_path / "images" / "a.xml").write_text("<annotation/>")
    assert run(["ingest", "voc", tmp_path / "images", tmp_path / "images", tmp_path / "out", "--whole"]) == 0
    assert json.loads(capsys.readouterr().out)["defective"] == 0


def test_an_ingest_ends_with_a_table_and_takes_values(tmp_path, save, steel, capsys) -> None:
    save(tmp_path / "images" / "a.png", steel(64, 150))
    mask = np.full((64, 150), 255, np.uint8)
    mask[:, 70:80], mask[0, 0] = 0, 7
    save(tmp_path / "masks" / "a.png", mask)
    words = ["ingest", "masks", tmp_path / "images", tmp_path / "masks", tmp_path / "out", "--edges", "leave"]
    assert run(words) == 2
    assert "--clean-values 255" in capsys.readouterr().err
    assert run([*words, "--clean-values", "255", "--ignore-values", "7"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    for line in (
        "with defects 1",
        "patches, defective 1 value 0: 1",
        "leaves out",
        "images not fully covered 1 up to 14.7% (a)",
    ):
        assert line in told
    assert run([*words, "--ignore-values", "white"]) == 2
    assert "--ignore-values has 'white'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["inclusion", "0=clean", "x=1", "1=", "-1=a"])
def test_names_that_are_no_number_and_name_are_refused(text) -> None:
    with pytest.raises(UsageError, match="--names has"):
        parse_names(text)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["ingest"], "steel-training ingest --help"),
        (["ingest", "masks", "a", "b"], "'OUT'"),
        (["sample"], "'OUT'"),
        (["ingest", "voc", "a", "b", "c", "--missing", "maybe"], "'error', 'clean'"),
        (["ingest", "voc", "a", "b", "c", "--group-regex", "x", "--groups", "y"], "expected one of them"),
        (["sample", "a", "--coils", "many"], "'--coils'"),
        (["sample", "a", "--coil", "3"], "--coils"),
    ],
)
def test_wrong_use_exits_with_2(arguments, named, capsys) -> None:
    assert run(arguments) == 2
    told = capsys.readouterr()
    assert not told.out
    last = told.err.splitlines()[-1]
    assert last.startswith("steel-training: ")
    assert named in last


def test_ingest_help_shows_the_rule_of_the_format(capsys) -> None:
    shown = {}
    for kind in ("masks", "severstal", "voc", "coco", "yolo"):
        assert run(["ingest", kind, "--help"]) == 0
        shown[kind] = " ".join(capsys.readouterr().out.split())
    assert (
        "--defective-min <float> and defective from this share; patches in between are dropped [default: 0.02]"
        in shown["masks"]
    )
    assert "[default: 0.001]" in shown["severstal"]
    assert "[default: (half the patch's side)]" in shown["severstal"]
    assert "[default: 0.25]" in shown["voc"]
    assert "[default: 0.25]" in shown["yolo"]
    assert "[default: 0.02]" in shown["coco"]


def test_a_format_of_regions_takes_classes_and_options(tmp_path, save, steel, capsys) -> None:
    save(tmp_path / "images" / "a.png", steel(64, 128))
    save(tmp_path / "images" / "b.png", steel(64, 128))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.25 0.5 0.5 1\n1 0.75 0.5 0.5 1\n")
    words = ["ingest", "yolo", tmp_path / "images", tmp_path / "labels", tmp_path / "out"]
    assert run([*words, "--classes", "0=pit,1=ok", "--missing", "skip"]) == 2
    assert "--clean-names ok" in capsys.readouterr().err
    assert run([*words, "--classes", "0=pit,1=ok", "--missing", "skip", "--clean-names", "ok"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["patches"], result["defective"], result["sources"]) == (2, 1, 1)


def test_masks_of_a_suffix_and_folders_of_classes_are_taken(tmp_path, save, steel, capsys) -> None:
    for name in ("a", "b"):
        save(tmp_path / "plates" / "ok" / f"{name}.png", steel(64, 64))
        save(tmp_path / "plates" / "ok" / f"{name}_GT.png", np.eye(64, dtype=np.uint8) * 255)
    masks = ["ingest", "masks", tmp_path / "plates", tmp_path / "plates", tmp_path / "out"]
    assert run(masks) == 2
    assert "use --mask-suffix _GT" in capsys.readouterr().err
    assert run([*masks, "--mask-suffix", "_GT", "--defective-min", "0.01"]) == 0
    assert json.loads(capsys.readouterr().out)["defective"] == 2
    assert run(["ingest", "folders", tmp_path / "plates", tmp_path / "out2", "--clean-names", "ok"]) == 0
    assert json.loads(capsys.readouterr().out)["sources"] == 4
    assert run(["ingest", "mvtec", tmp_path / "plates", tmp_path / "out3"]) == 2
    assert "Expected the layout of MVTec AD" in capsys.readouterr().err
