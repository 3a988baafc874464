from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steel_training.data.dataset import OutputExists, find_dataset
from steel_training.data.splits import assign_splits
from steel_training.ingest import ingest_masks
from steel_training.ingest.masks import MaskInvalid, MaskMissing
from steel_training.ingest.source_images import AmbiguousPhotograph, NoPhotographs, PhotographUnreadable
from steel_training.ingest.tiling import CutRule, CutRuleInvalid, PhotographTooSmall, SizesDiffer

NEU = Path(__file__).parents[4] / "shared" / "data" / "neu_seg"


@pytest.fixture
def photographs(tmp_path, save, steel) -> Path:
    """Four photographs of 128×64 pixels: the left half of each is clean, the right half has defect `number % 2 + 1`."""
    for number in range(4):
        save(tmp_path / "images" / f"coil{number // 2}_{number}.png", steel(64, 128, seed=number))
        mask = np.zeros((64, 128), np.uint8)
        mask[10:20, 70:100] = number % 2 + 1
        save(tmp_path / "masks" / f"coil{number // 2}_{number}.png", mask)
    return tmp_path


def ingest(folder: Path, **options):
    return ingest_masks(str(folder / "images"), str(folder / "masks"), str(folder / "out"), **options)


def test_photographs_and_masks_become_a_dataset_of_the_contract(photographs) -> None:
    summary = ingest(photographs, names={1: "inclusion", 2: "2"}, group_regex="^(coil[0-9]+)")
    dataset = find_dataset(str(photographs / "out"))
    table = dataset.manifest.set_index("patch_id")
    assert (summary.patches, summary.defective, summary.sources, summary.groups) == (8, 4, 4, 2)
    assert table.loc["coil0_0_x0064_y0000", ["label", "source_id", "group_id", "x", "y", "defect_type"]].tolist() == [
        1, "coil0_0", "coil0", 64, 0, "inclusion",
    ]  # fmt: skip
    assert table.loc["coil0_1_x0064_y0000", "defect_type"] == "2"
    assert table.query("label == 0")["defect_type"].isna().all()
    whole = np.asarray(Image.open(photographs / "images" / "coil1_3.png"))
    stored = np.asarray(Image.open(photographs / "out" / table.loc["coil1_3_x0064_y0000", "path"]))
    np.testing.assert_array_equal(stored, whole[:, 64:])


def test_overlapping_patches_of_a_photograph_share_its_source(photographs) -> None:
    ingest(photographs, rule=CutRule(patch=64, stride=16))
    table = find_dataset(str(photographs / "out")).manifest
    assert table["patch_id"].is_unique
    assert set(table["source_id"]) == {"coil0_0", "coil0_1", "coil1_2", "coil1_3"}


def test_which_defective_patches_are_kept_depends_on_the_seed_and_not_on_other_photographs(
    tmp_path, save, steel
) -> None:
    for number in range(40):
        save(tmp_path / "images" / f"{number}.png", steel(64, 64, seed=number))
        save(tmp_path / "masks" / f"{number}.png", np.full((64, 64), number % 2, np.uint8))

    def kept(out: str, seed: int) -> set[str]:
        ingest_masks(
            str(tmp_path / "images"), str(tmp_path / "masks"), str(tmp_path / out), keep_defective=0.5, seed=seed
        )
        table = find_dataset(str(tmp_path / out)).manifest
        assert (table["label"] == 0).sum() >= 19
        return set(table.query("label == 1")["source_id"])

    first = kept("a", seed=1)
    assert 3 < len(first) < 17
    assert first != kept("b", seed=2)
    for folder in ("images", "masks"):
        (tmp_path / folder / "0.png").unlink()
    assert kept("c", seed=1) == first


def test_masks_with_a_palette_are_read_by_index(photographs, save) -> None:
    for path in (photographs / "masks").iterdir():
        image = Image.fromarray(np.asarray(Image.open(path)), mode="P")
        image.putpalette([0, 0, 0, 0, 0, 0, 255, 0, 0])  # class 1 is shown black
        image.save(path)
    assert ingest(photographs).defective == 4


def test_photographs_in_subfolders_are_found_and_do_not_collide(tmp_path, save, steel) -> None:
    for coil in ("a", "b"):
        save(tmp_path / "images" / coil / "1.png", steel(64, 64, seed=ord(coil)))
        save(tmp_path / "masks" / coil / "1.png", np.full((64, 64), coil == "b", np.uint8))
    ingest(tmp_path, group_regex="^[^/]+")
    table = find_dataset(str(tmp_path / "out")).manifest
    assert table[["patch_id", "source_id", "group_id", "label"]].to_numpy().tolist() == [
        ["a__1_x0000_y0000", "a/1", "a", 0],
        ["b__1_x0000_y0000", "b/1", "b", 1],
    ]


def test_an_ingest_that_fails_leaves_nothing_behind(photographs, save) -> None:
    save(photographs / "masks" / "coil1_3.png", np.zeros((64, 127), np.uint8))
    with pytest.raises(SizesDiffer, match=r"coil1_3\.png: the photograph is 128×64 pixels, its mask 127×64"):
        ingest(photographs)
    assert not (photographs / "out").exists()


def test_a_photograph_without_mask_is_named(photographs) -> None:
    (photographs / "masks" / "coil0_1.png").unlink()
    with pytest.raises(MaskMissing, match=r"1 of 4 photographs .* coil0_1\."):
        ingest(photographs)


def test_a_mask_saved_as_jpeg_is_refused(photographs) -> None:
    path = photographs / "masks" / "coil0_1.png"
    Image.open(path).save(path.with_suffix(".jpg"))
    path.unlink()
    with pytest.raises(MaskInvalid, match="JPEG"):
        ingest(photographs)


def test_a_coloured_mask_is_refused(photographs, save) -> None:
    colours = np.zeros((64, 128, 3), np.uint8)
    colours[10:20, 70:100, 0] = 255
    save(photographs / "masks" / "coil0_1.png", colours)
    with pytest.raises(MaskInvalid, match="colour"):
        ingest(photographs)


def test_a_patch_larger_than_a_photograph_is_refused(photographs) -> None:
    with pytest.raises(PhotographTooSmall, match=r"coil0_0\.png: .* 128×64 .* 96×96"):
        ingest(photographs, rule=CutRule(patch=96, stride=96))


def test_a_truncated_photograph_is_named(photographs) -> None:
    path = photographs / "images" / "coil1_2.png"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(PhotographUnreadable, match=r"coil1_2\.png"):
        ingest(photographs)


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "P"])
def test_a_photograph_of_another_mode_is_named_with_it(photographs, mode) -> None:
    Image.new(mode, (128, 64)).save(photographs / "images" / "coil1_2.png")
    with pytest.raises(PhotographUnreadable, match=rf"mode {mode}"):
        ingest(photographs)


def test_folders_without_images_are_named(tmp_path, photographs) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoPhotographs, match="empty holds no photograph"):
        ingest_masks(str(tmp_path / "empty"), str(photographs / "masks"), str(tmp_path / "out"))
    with pytest.raises(NoPhotographs, match="absent holds no mask"):
        ingest_masks(str(photographs / "images"), str(tmp_path / "absent"), str(tmp_path / "out"))


def test_two_photographs_of_one_name_are_refused(photographs, save, steel) -> None:
    save(photographs / "images" / "coil0_1.bmp", steel(64, 128))
    with pytest.raises(AmbiguousPhotograph, match="'coil0_1'"):
        ingest(photographs)


def test_an_output_that_holds_something_is_left_alone(photographs) -> None:
    ingest(photographs)
    before = (photographs / "out" / "manifest.csv").read_bytes()
    with pytest.raises(OutputExists, match="not empty"):
        ingest(photographs)
    assert (photographs / "out" / "manifest.csv").read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan")])
def test_a_share_to_keep_outside_zero_to_one_is_refused(photographs, share) -> None:
    with pytest.raises(CutRuleInvalid, match="keep"):
        ingest(photographs, keep_defective=share)


@pytest.mark.skipif(not NEU.is_dir(), reason="the NEU photographs are not here")
def test_the_neu_photographs_give_the_known_number_of_patches_and_no_photograph_straddles(tmp_path) -> None:
    summary = ingest_masks(
        str(NEU / "images"),
        str(NEU / "masks"),
        str(tmp_path / "neu"),
        names={1: "inclusion", 2: "patches", 3: "scratches"},
        keep_defective=0.33,
        rule=CutRule(cover_edges=False),
    )
    clean = summary.patches - summary.defective
    assert 3500 < clean < 3700
    assert 3900 < summary.defective + summary.thinned < 4150
    assert 0.30 < summary.defective / (summary.defective + summary.thinned) < 0.36
    table = find_dataset(str(tmp_path / "neu")).manifest
    assert set(table["defect_type"].dropna()) == {"inclusion", "patches", "scratches"}
    parts = assign_splits(table, seed=1, val_share=0.2, test_share=0.2)
    assert parts.groupby(table["source_id"]).nunique().max() == 1
    assert set(parts) == {"train", "val", "test"}
