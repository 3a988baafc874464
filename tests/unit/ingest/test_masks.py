from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steel_training.data.dataset import OutputExists, find_dataset
from steel_training.data.splits import assign_splits
from steel_training.ingest import ingest_masks
from steel_training.ingest.mask_values import MaskValuesInvalid
from steel_training.ingest.masks import MaskInvalid, MaskMissing, MaskUnmatched
from steel_training.ingest.problems import DatasetInvalid
from steel_training.ingest.source_images import AmbiguousSourceImage, NoSourceImages, SourceImageUnreadable
from steel_training.ingest.tiling import CutRule, CutRuleInvalid, SizesDiffer, SourceImageTooSmall

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


def test_kept_defective_patches_depend_on_seed_only(tmp_path, save, steel) -> None:
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
    with pytest.raises(SizesDiffer, match=r"coil1_3\.png: the image is 128×64 pixels, its mask 127×64"):
        ingest(photographs)
    assert not (photographs / "out").exists()


def test_a_photograph_without_mask_is_named(photographs) -> None:
    (photographs / "masks" / "coil0_1.png").unlink()
    with pytest.raises(MaskMissing, match=r"1 of 4 images .* coil0_1\."):
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
    with pytest.raises(SourceImageTooSmall, match=r"coil0_0\.png: .* 128×64 .* 96×96"):
        ingest(photographs, rule=CutRule(patch=96, stride=96))


def test_a_truncated_photograph_is_named(photographs) -> None:
    path = photographs / "images" / "coil1_2.png"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(SourceImageUnreadable, match=r"coil1_2\.png"):
        ingest(photographs)


def test_a_photograph_of_too_many_scans_is_named_and_not_decoded(photographs, progressive_jpeg) -> None:
    (photographs / "images" / "coil1_2.png").write_bytes(progressive_jpeg(Image.new("L", (4096, 4096), 128), 300))
    with pytest.raises(
        SourceImageUnreadable, match=r"coil1_2\.png cannot be decoded \(4096×4096 pixels in 300 scans; at most 256"
    ):
        ingest(photographs)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_a_photograph_of_another_mode_is_named_with_it(photographs, mode) -> None:
    Image.new(mode, (128, 64)).save(photographs / "images" / "coil1_2.png")
    with pytest.raises(SourceImageUnreadable, match=rf"mode {mode}"):
        ingest(photographs)


def test_folders_without_images_are_named(tmp_path, photographs) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoSourceImages, match="empty holds no source image"):
        ingest_masks(str(tmp_path / "empty"), str(photographs / "masks"), str(tmp_path / "out"))
    with pytest.raises(NoSourceImages, match="absent holds no mask"):
        ingest_masks(str(photographs / "images"), str(tmp_path / "absent"), str(tmp_path / "out"))


def test_two_photographs_of_one_name_are_refused(photographs, save, steel) -> None:
    save(photographs / "images" / "coil0_1.bmp", steel(64, 128))
    with pytest.raises(AmbiguousSourceImage, match="'coil0_1'"):
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


def manifest(folder: Path):
    return find_dataset(str(folder / "out")).manifest


def test_image_without_mask_is_clean_or_skipped(photographs, tmp_path) -> None:
    (photographs / "masks" / "coil0_1.png").unlink()
    with pytest.raises(MaskMissing, match="--missing skip .* --missing clean"):
        ingest(photographs)
    clean = ingest(photographs, missing="clean").record
    assert (clean.unnamed, clean.left_out) == (["coil0_1"], {})
    assert manifest(photographs).query("source_id == 'coil0_1'")["label"].tolist() == [0, 0]
    ingest_masks(str(photographs / "images"), str(photographs / "masks"), str(tmp_path / "less"), missing="skip")
    assert set(find_dataset(str(tmp_path / "less")).manifest["source_id"]) == {"coil0_0", "coil1_2", "coil1_3"}


def test_masks_of_other_names_make_no_photograph_clean(photographs) -> None:
    for path in list((photographs / "masks").iterdir()):
        path.rename(path.with_stem(path.stem + "_GT"))
    with pytest.raises(MaskMissing, match="4 of 4 images"):
        ingest(photographs, missing="clean", unmatched="skip")


def test_a_mask_without_photograph_is_refused_or_left_out(photographs) -> None:
    (photographs / "images" / "coil1_3.png").unlink()
    with pytest.raises(MaskUnmatched, match="1 of 4 masks belong to no image: coil1_3.*--unmatched skip"):
        ingest(photographs)
    assert list(ingest(photographs, unmatched="skip").record.left_out.values()) == [["coil1_3"]]


def test_no_photograph_becomes_its_own_mask(photographs) -> None:
    with pytest.raises(MaskInvalid, match="its own mask"):
        ingest_masks(str(photographs / "images"), str(photographs / "images"), str(photographs / "out"))
    with pytest.raises(MaskInvalid, match="4 files are below"):
        ingest_masks(str(photographs), str(photographs / "masks"), str(photographs / "out"), missing="clean")


def test_a_value_that_nobody_named_is_refused(photographs) -> None:
    with pytest.raises(MaskInvalid, match="value 2 is in 2 masks and --names does not name it: coil0_1, coil1_3"):
        ingest(photographs, names={1: "pit"})
    assert ingest(photographs, names={1: "pit"}, clean_values={0, 2}).defective == 2


def test_ignored_pixels_make_patches_neither_clean_nor_defective(photographs) -> None:
    summary = ingest(photographs, names={1: "pit"}, ignore_values={2})
    assert (summary.patches, summary.defective) == (6, 2)
    assert summary.record.dropped["ignored"] == 2
    assert set(summary.record.by_value) == {1}


def test_white_beside_other_values_must_be_explained(photographs, save) -> None:
    mask = np.zeros((64, 128), np.uint8)
    mask[:, 0] = 255
    save(photographs / "masks" / "coil0_0.png", mask)
    with pytest.raises(MaskInvalid, match=r"255 occurs beside 1, 2, in 1 masks: coil0_0\. .*--ignore-values 255"):
        ingest(photographs)
    assert ingest(photographs, ignore_values={255}).patches == 7


def test_shades_of_grey_are_no_classes(photographs, save) -> None:
    save(photographs / "masks" / "coil0_0.png", np.tile(np.arange(128, dtype=np.uint8), (64, 1)))
    with pytest.raises(MaskInvalid, match="127 values besides clean ones"):
        ingest(photographs)


def test_inverted_masks_are_refused_and_read_when_said_so(photographs) -> None:
    for path in (photographs / "masks").iterdir():
        Image.fromarray(np.where(np.asarray(Image.open(path)) > 0, 0, 255).astype(np.uint8)).save(path)
    with pytest.raises(MaskInvalid, match="value 255 alone 96%: they look inverted. Use --clean-values 255"):
        ingest(photographs)
    summary = ingest(photographs, clean_values={255})
    assert summary.record.by_value == {0: 4}
    assert set(manifest(photographs).query("x == 64")["label"]) == {1}
    assert set(manifest(photographs).query("x == 0")["label"]) == {0}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"names": {1: "ok"}}, "1=ok names a value that is not a defect; use --clean-values 0, 1"),
        ({"names": {1: "pit"}, "ignore_values": {1}}, "value 1 has two meanings"),
    ],
)
def test_values_with_two_meanings_are_refused(photographs, options, told) -> None:
    with pytest.raises(MaskValuesInvalid, match=told):
        ingest(photographs, **options)


def test_all_problems_are_told_at_once(photographs, save, steel) -> None:
    for number in range(12):
        save(photographs / "images" / f"new_{number:02d}.png", steel(64, 128))
        save(photographs / "masks" / f"new_{number:02d}.png", np.zeros((64, 127), np.uint8))
    (photographs / "masks" / "coil0_1.png").unlink()
    (photographs / "images" / "coil1_2.png").write_bytes(b"torn")
    with pytest.raises(DatasetInvalid) as raised:
        ingest(photographs)
    told = str(raised.value).splitlines()
    assert told[0] == "14 problems; nothing was written:"
    assert sum("its mask 127×64" in line for line in told) == 10
    assert "  and 2 more of this kind" in told
    assert any("coil0_1" in line for line in told)
    assert any("coil1_2.png is not a PNG" in line for line in told)
    assert not (photographs / "out").exists()


def test_names_are_matched_whatever_their_unicode_form(tmp_path, save, steel) -> None:
    for form, folder, pixels in (("NFD", "images", steel(64, 64)), ("NFC", "masks", np.eye(64, dtype=np.uint8))):
        save(tmp_path / folder / f"{unicodedata.normalize(form, 'Bänd_1')}.png", pixels)
        save(tmp_path / folder / "b.png", pixels * 0 + 100 * (folder == "images"))
    save(tmp_path / "images" / "._b.png", steel(64, 64))
    (tmp_path / "images" / "._b.png").write_bytes(b"Mac OS X")
    assert ingest(tmp_path, rule=CutRule(defective_min=0.01)).defective == 1


def test_a_mask_drawn_on_a_turned_photograph_fits_it(tmp_path) -> None:
    shown = np.full((64, 128), 90, np.uint8)
    shown[:, :64] = 200
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.ascontiguousarray(np.rot90(shown))).save(tmp_path / "images" / "a.jpg", exif=exif, quality=95)
    Image.fromarray((shown > 100).astype(np.uint8)).save(tmp_path / "masks" / "a.png")
    assert ingest(tmp_path).record.rotated == ["a"]
    table = manifest(tmp_path)
    (defective,) = table.query("label == 1")["path"]
    assert np.asarray(Image.open(tmp_path / "out" / defective)).mean() > 190


def test_the_record_says_what_every_label_rests_on(photographs, save, steel) -> None:
    mask = np.zeros((64, 200), np.uint8)
    mask[:40, 192:] = 1  # a defect that only the patch at the edge could hold
    mask[5, 5] = 3  # one pixel: too little for a label
    save(photographs / "images" / "NG_long.png", steel(64, 200))
    save(photographs / "masks" / "NG_long.png", mask)
    save(photographs / "images" / "NG_empty.png", steel(64, 128))
    save(photographs / "masks" / "NG_empty.png", np.zeros((64, 128), np.uint8))
    summary = ingest(photographs, rule=CutRule(cover_edges=False))
    record = json.loads((photographs / "out" / "ingest.json").read_text())
    assert record == summary.record.as_dict()
    assert record["images"] == {
        "taken": 6, "annotated": 6, "with_defects": 5, "clean_by_annotation": 1, "clean_because_nothing_names_them": 0,
        "turned_by_exif": 0,
    }  # fmt: skip
    assert record["name_contradicts_annotation"] == ["NG_empty"]
    assert record["patches"]["by_class"] == record["patches"]["by_mask_value"] == {"1": 2, "2": 2}
    assert record["dropped_patches"] == {"undecided": 1, "ignored": 0, "blank": 0, "thinned": 0}
    assert record["uncovered_share"] == {"NG_long": 0.04}
    assert record["defects_in_no_patch"] == [
        {"source_id": "NG_long", "class": "1", "x": 192, "y": 0, "pixels": 320},
        {"source_id": "NG_long", "class": "3", "x": 5, "y": 5, "pixels": 1},
    ]
    for told in ("defects in no patch", "NG_long (1, 320 pixels)", "up to 4.0% (NG_long)", "contradicts"):
        assert told in summary.record.table()


def test_the_last_patches_lie_at_the_edge(photographs, save, steel) -> None:
    mask = np.zeros((70, 150), np.uint8)
    mask[66:, 140:] = 1
    save(photographs / "images" / "long.png", steel(70, 150))
    save(photographs / "masks" / "long.png", mask)
    summary = ingest(photographs, rule=CutRule(defective_min=0.005))
    assert summary.record.uncovered == {}
    assert summary.record.in_no_patch == []
    last = manifest(photographs).query("source_id == 'long' and label == 1")
    assert last[["x", "y"]].to_numpy().tolist() == [[86, 6]]


@pytest.mark.skipif(not NEU.is_dir(), reason="the NEU photographs are not here")
def test_neu_patch_count_and_splits_by_source(tmp_path) -> None:
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
