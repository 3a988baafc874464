"""Images of 12 and 16 bits are ingested in every format with one stated grey range, and never without."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steel_training.cli import main
from steel_training.data.dataset import find_dataset
from steel_training.data.grey_range import GreyRange
from steel_training.ingest import ingest_folders, ingest_masks
from steel_training.ingest.cut_rule import CutRule
from steel_training.ingest.grey_levels import GreyRangeUnused
from steel_training.ingest.inspection import inspect
from steel_training.ingest.overlap_groups import group_overlapping_images
from steel_training.ingest.problems import DatasetInvalid
from steel_training.ingest.source_images import GreyRangeMissing, SourceImageUnreadable
from tests.unit.data.test_grey_range import tiff
from tests.unit.ingest.test_broken_annotations import FORMATS

HEIGHT, WIDTH = 48, 64
RANGE = GreyRange(200, 3000)


def steel(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(150, 3100, (HEIGHT, WIDTH)).astype(np.uint16)


@pytest.fixture
def deep(tmp_path, save) -> Path:
    """Images a.png and b.tif of 16 bits in `images`, and a mask for each in `masks`: a defect in the upper half of `a`."""
    for seed, name in enumerate(("a.png", "b.tif")):
        save(tmp_path / "images" / name, steel(seed))
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[:24] = not seed
        save(tmp_path / "masks" / f"{Path(name).stem}.png", mask)
    return tmp_path


def ingest(folder: Path, **options):
    return ingest_masks(
        str(folder / "images"), str(folder / "masks"), str(folder / "out"), rule=CutRule(patch=16, stride=16), **options
    )


def patches_match(out: Path, grey_range: GreyRange) -> None:
    table = find_dataset(str(out)).manifest
    whole = {name: grey_range.to_8_bits(steel(seed)) for seed, name in enumerate(("a", "b"))}
    assert len(table)
    for row in table.itertuples():
        pixels = np.asarray(Image.open(out / row.path))
        assert pixels.dtype == np.uint8
        source = whole[Path(row.source_id).name]
        np.testing.assert_array_equal(pixels, source[row.y : row.y + len(pixels), row.x : row.x + len(pixels[0])])


def test_every_patch_has_the_stated_mapping(deep) -> None:
    ingest(deep, grey_range=RANGE)
    patches_match(deep / "out", RANGE)


def test_mapping_and_what_it_clipped_are_recorded(deep, capsys) -> None:
    summary = ingest(deep, grey_range=RANGE)
    both = np.stack([steel(0), steel(1)])
    assert json.loads((deep / "out" / "ingest.json").read_text())["grey_range"] == {
        "low": 200,
        "high": 3000,
        "images": 2,
        "bits_per_pixel": [16],
        "lowest_value": int(both.min()),
        "highest_value": int(both.max()),
        "share_clipped_below": round(float((both < 200).mean()), 6),
        "share_clipped_above": round(float((both > 3000).mean()), 6),
    }
    row = next(line for line in summary.record.table().splitlines() if "grey of 16 bits" in line)
    assert "200:3000 became 0:255" in row
    assert f"{(both < 200).mean():.2%} of the pixels below, {(both > 3000).mean():.2%} above" in row


def test_8_bit_datasets_have_no_range_on_record(plates) -> None:
    ingest_folders(str(plates), str(plates / "out"), names=("images",))
    assert json.loads((plates / "out" / "ingest.json").read_text())["grey_range"] is None


def test_without_a_range_all_deep_images_are_one_problem_with_their_values(deep) -> None:
    both = np.stack([steel(0), steel(1)])
    with pytest.raises(GreyRangeMissing) as told:
        ingest(deep)
    assert f"2 of 2 images have 16 bits per pixel, with values from {both.min()} to {both.max():,}" in str(told.value)
    assert "--grey-range 0:4095" in str(told.value)
    assert not (deep / "out").exists()


def test_other_problems_of_deep_images_are_reported_beside_it(deep, save) -> None:
    save(deep / "masks" / "b.png", np.zeros((5, 5), np.uint8))
    with pytest.raises(DatasetInvalid) as told:
        ingest(deep)
    assert "b.tif: the image is 64×48 pixels, its mask 5×5" in str(told.value)
    assert "--grey-range 0:4095" in str(told.value)


def test_images_of_both_kinds_are_refused_with_and_without_a_range(deep, save) -> None:
    save(deep / "images" / "b.tif", steel(1).astype(np.uint8))
    with pytest.raises(GreyRangeMissing, match=r"1 of 2 images have 16 bits.*: a\. Ingest images of one kind only"):
        ingest(deep)
    with pytest.raises(GreyRangeUnused, match=r"1 of 2 images have 8 bits.*: b\. Ingest images of one kind only"):
        ingest(deep, grey_range=RANGE)
    save(deep / "images" / "a.png", steel(0).astype(np.uint8))
    with pytest.raises(GreyRangeUnused, match="2 of 2 images have 8 bits.*Leave the option out"):
        ingest(deep, grey_range=RANGE)


def test_masks_of_16_bits_keep_their_numbers(deep, save) -> None:
    for name in ("a", "b"):
        mask = np.asarray(Image.open(deep / "masks" / f"{name}.png")).astype(np.uint16) * 300
        save(deep / "masks" / f"{name}.png", mask)
    summary = ingest(deep, grey_range=RANGE, names={300: "pit"})
    assert dict(summary.record.by_class) == {"pit": summary.defective}


def test_signed_and_float_images_are_refused_by_mode(deep, save) -> None:
    save(deep / "images" / "b.tif", steel(1).astype(np.float32))
    with pytest.raises(SourceImageUnreadable, match="has mode F; expected grey of 8, 12 or 16 bits"):
        ingest(deep, grey_range=RANGE)


def test_a_tiff_that_is_not_read_is_called_a_tiff(deep) -> None:
    (deep / "images" / "b.tif").write_bytes(tiff(steel(1), 12, ">"))
    with pytest.raises(SourceImageUnreadable, match=r"b\.tif is a TIFF file whose kind of pixels"):
        ingest(deep, grey_range=RANGE)


def arguments(kind: str, folder: Path) -> list[str]:
    """A folder of images of 16 bits with annotations of a format, and the command that ingests it."""
    if kind == "folders":
        (folder / "classes").mkdir()
        (folder / "images").rename(folder / "classes" / "pit")
        return ["folders", str(folder / "classes"), "--names", "pit"]
    if kind == "mvtec":
        for part, name in (("test/pit", "a.png"), ("train/good", "b.tif")):
            (folder / "steel" / part).mkdir(parents=True)
            (folder / "images" / name).rename(folder / "steel" / part / name)
        (folder / "steel" / "ground_truth" / "pit").mkdir(parents=True)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[:24] = 255
        Image.fromarray(mask).save(folder / "steel" / "ground_truth" / "pit" / "a_mask.png")
        return ["mvtec", str(folder / "steel"), "--patch", "16"]
    if kind == "severstal":
        for name in ("a.png", "b.tif"):
            (folder / "more").mkdir(exist_ok=True)
            (folder / "images" / name).rename(folder / "more" / name)
        (folder / "train.csv").write_text("ImageId,ClassId,EncodedPixels\na.png,1,1 500\nb.tif,2,\n")
        return ["severstal", str(folder / "more"), str(folder / "train.csv"), "--patch", "16"]
    file, content, _ = FORMATS[{"masks": "masks_png"}.get(kind, kind)]
    (folder / "annotations").mkdir()
    path = folder / "annotations" / file
    path.write_bytes(content)
    where = path if kind in ("coco", "cvat", "labelstudio") else path.parent
    more = ["--classes", "0=pit"] if kind == "yolo" else []
    return [
        kind,
        str(folder / "images"),
        str(where),
        "--patch",
        "16",
        "--missing",
        "clean",
        "--unmatched",
        "skip",
        *more,
    ]


KINDS = ["masks", "mvtec", "folders", "coco", "yolo", "voc", "labelme", "cvat", "labelstudio", "severstal"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_takes_the_option_and_needs_it(deep, kind, capsys) -> None:
    name, *rest = arguments(kind, deep)
    positions = rest[: next((at for at, word in enumerate(rest) if word.startswith("--")), len(rest))]
    command = ["ingest", name, *positions, str(deep / "out"), *rest[len(positions) :]]
    assert main(command) == 2
    assert "--grey-range 0:4095" in capsys.readouterr().err
    assert main([*command, "--grey-range", "200:3000"]) == 0
    assert "200:3000 became 0:255" in capsys.readouterr().err
    patches_match(deep / "out", RANGE)


def test_command_names_a_range_that_is_none(deep, capsys) -> None:
    command = ["ingest", "folders", str(deep), str(deep / "out"), "--names", "images", "--grey-range", "4095"]
    assert main(command) == 2
    assert "expected LOW:HIGH" in capsys.readouterr().err


def test_groups_of_deep_images_take_it_too(deep) -> None:
    with pytest.raises(GreyRangeMissing, match="--grey-range 0:4095"):
        group_overlapping_images(str(deep / "images"))
    assert len(group_overlapping_images(str(deep / "images"), grey_range=RANGE)) == 2


def test_inspect_prints_a_command_that_works(deep, capsys) -> None:
    both = np.stack([steel(0), steel(1)])
    text = inspect(str(deep))
    assert (
        f"2 of 2 images that were decoded have 16 bits per pixel, with values from {both.min()} to {both.max():,}"
        in text
    )
    command = next(line.strip() for line in text.splitlines() if "ingest masks" in line)
    assert "--grey-range 0:4095" in command
    typed = [str(deep / "out") if word == "OUT" else word for word in shlex.split(command)[1:]]
    assert main([*typed, "--patch", "16"]) == 0
    patches_match(deep / "out", GreyRange(0, 4095))


def test_inspect_suggests_no_range_for_a_mixture(deep, save) -> None:
    save(deep / "images" / "c.png", steel(1).astype(np.uint8))
    text = inspect(str(deep))
    assert "2 of 3 images that were decoded have 16 bits per pixel: ingest those of 8 bits apart" in text
    assert "--grey-range" not in text


def test_inspect_takes_masks_of_16_bits_for_no_images(plates, save) -> None:
    for name in ("a", "b"):
        save(plates / "masks" / f"{name}.png", np.ones((HEIGHT, WIDTH), np.uint16))
    assert "bits per pixel" not in inspect(str(plates))
