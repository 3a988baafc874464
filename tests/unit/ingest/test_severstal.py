from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from steel_training.data.dataset import find_dataset
from steel_training.errors import UsageError
from steel_training.ingest import ingest_severstal
from steel_training.ingest.csv_tables import TableInvalid
from steel_training.ingest.cut_rule import SEVERSTAL_RULE
from steel_training.ingest.problems import DatasetInvalid
from steel_training.ingest.severstal import RowMissing, RowUnmatched, RunLengthInvalid, decode_run_length
from steel_training.ingest.tiling import CutRule, SourceImageTooSmall


def encode(mask: np.ndarray) -> str:
    """Kaggle's run lengths: counted from 1, down the columns."""
    flat = np.concatenate([[0], mask.flatten(order="F"), [0]]).astype(int)
    starts, ends = np.flatnonzero(np.diff(flat) == 1) + 1, np.flatnonzero(np.diff(flat) == -1) + 1
    return " ".join(f"{start} {end - start}" for start, end in zip(starts, ends, strict=True))


def defect(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((256, 1600), bool)
    mask[rows, columns] = True
    return mask


@pytest.fixture
def kaggle(tmp_path, save, steel) -> Path:
    """Three photographs of 1600×256: a large defect, a faint one of 30 pixels, and one that the CSV does not name."""
    for number, name in enumerate(("large.jpg", "small.jpg", "unnamed.jpg")):
        save(tmp_path / "images" / name, np.repeat(steel(256, 1600, seed=number)[..., None], 3, axis=2))
    (tmp_path / "train.csv").write_text(
        "ImageId,ClassId,EncodedPixels\n"
        f"large.jpg,3,{encode(defect(slice(100, 120), slice(300, 400)))}\n"
        f"large.jpg,1,{encode(defect(slice(0, 10), slice(1500, 1510)))}\n"
        f"small.jpg,2,{encode(defect(slice(0, 5), slice(700, 706)))}\n"
    )
    return tmp_path


# The figures of these tests are those of a grid without patches at the edge.
GRID = replace(SEVERSTAL_RULE, cover_edges=False)


def ingest(folder: Path, **options):
    options = {"missing": "clean", "rule": GRID, **options}
    return ingest_severstal(str(folder / "images"), str(folder / "train.csv"), str(folder / "out"), **options)


def test_run_lengths_go_down_the_columns_and_count_from_one() -> None:
    np.testing.assert_array_equal(
        decode_run_length("1 3 10 2", (4, 3)), np.array([[1, 0, 0], [1, 0, 1], [1, 0, 1], [0, 0, 0]])
    )


@given(arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_any_mask_survives_its_run_lengths(mask) -> None:
    np.testing.assert_array_equal(decode_run_length(encode(mask), mask.shape), mask)


@given(st.text(alphabet="0123456789 -.xé", max_size=30))
def test_any_text_is_a_mask_or_a_named_error(text) -> None:
    try:
        assert decode_run_length(text, (7, 5)).shape == (7, 5)
    except RunLengthInvalid as error:
        assert "run" in str(error) or "EncodedPixels" in str(error)


def test_severstal_defaults_overlap_half_from_50_pixels(kaggle) -> None:
    summary = ingest(kaggle)
    table = find_dataset(str(kaggle / "out")).manifest
    large = table[table["source_id"] == "large"].set_index("x")
    # The grid has 11 places a photograph; the defect lies at 300..399, so patches from 45 to 399 see it.
    assert large.query("label == 1")["defect_type"].to_dict() == {128: "3", 256: "3", 384: "3", 1280: "1"}
    assert large.query("label == 0").index.tolist() == [0, 512, 640, 768, 896, 1024, 1152]
    # 30 pixels are neither clean nor defective.
    assert table[table["source_id"] == "small"]["x"].tolist() == [0, 128, 256, 384, 768, 896, 1024, 1152, 1280]
    assert table[table["source_id"] == "unnamed"]["label"].tolist() == [0] * 11
    assert (summary.patches, summary.defective, summary.sources, summary.undecided) == (31, 4, 3, 2)


def test_the_older_form_of_the_csv_says_the_same(kaggle) -> None:
    ingest(kaggle)
    rows = (kaggle / "train.csv").read_text().splitlines()[1:]
    older = ["ImageId_ClassId,EncodedPixels", *(row.replace(",", "_", 1) for row in rows), "unnamed.jpg_4,"]
    (kaggle / "older.csv").write_text("\n".join(older) + "\n")
    ingest_severstal(str(kaggle / "images"), str(kaggle / "older.csv"), str(kaggle / "older"), rule=GRID)
    assert (kaggle / "older" / "manifest.csv").read_bytes() == (kaggle / "out" / "manifest.csv").read_bytes()


def test_patches_without_any_strip_are_not_called_clean_steel(kaggle, save, steel) -> None:
    photograph = steel(256, 1600)
    photograph[:, :600] = 0
    save(kaggle / "images" / "unnamed.png", np.repeat(photograph[..., None], 3, axis=2))
    (kaggle / "images" / "unnamed.jpg").unlink()
    summary = ingest(kaggle)
    table = find_dataset(str(kaggle / "out")).manifest
    assert summary.blank == 3
    assert table[table["source_id"] == "unnamed"]["x"].min() == 384


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("large.jpg,3,1 2 3", "row 2 .* 3 numbers"),
        ("large.jpg,3,1 two", "row 2 .* integers"),
        ("large.jpg,3,0 5", "row 2 .* '0 5' leaves"),
        ("large.jpg,3,409600 2", "row 2 .* '409600 2' leaves the image of 1600×256"),
        ("large.jpg,3,5 -1", "row 2 .* '5 -1'"),
        ("large.jpg,3,99999999999999999999999 1", "row 2 .* integers"),
        ("large.jpg,x,1 2", "row 2: .* class 'x'"),
        (",3,1 2", "row 2: image ''"),
        ("large,3,1 2", "lists no image"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(kaggle, row, told) -> None:
    (kaggle / "train.csv").write_text(f"ImageId,ClassId,EncodedPixels\n{row}\n")
    with pytest.raises(RunLengthInvalid, match=told):
        ingest(kaggle)
    assert not (kaggle / "out").exists()


@pytest.mark.parametrize(
    ("content", "error", "told"),
    [
        ("a,b\n1,2\n", TableInvalid, "no column EncodedPixels"),
        ("Image,EncodedPixels\nx,1 2\n", RunLengthInvalid, "expected ImageId, ClassId"),
    ],
)
def test_a_csv_of_another_kind_is_refused(kaggle, content, error, told) -> None:
    (kaggle / "train.csv").write_text(content)
    with pytest.raises(error, match=told) as raised:
        ingest(kaggle)
    assert isinstance(raised.value, UsageError)


def test_photographs_lower_than_a_patch_are_named(kaggle) -> None:
    with pytest.raises(SourceImageTooSmall, match=r"large\.jpg: .* 512×512"):
        ingest(kaggle, rule=CutRule(patch=512, stride=256))


def test_photographs_without_a_row_are_refused_by_folder(kaggle, save, steel) -> None:
    save(kaggle / "images" / "test_images" / "new.jpg", steel(256, 1600))
    with pytest.raises(RowMissing, match=r"2 of 4 images \(1 in test_images, 1 in the top folder\): .*--missing clean"):
        ingest(kaggle, missing="error")
    summary = ingest(kaggle, missing="skip")
    assert (summary.sources, len(next(iter(summary.record.left_out.values())))) == (2, 2)


def test_clean_for_want_of_a_row_is_counted_apart(kaggle) -> None:
    with (kaggle / "train.csv").open("a") as table:
        table.write("small.jpg,4,\n")
    record = ingest(kaggle).record
    assert record.as_dict()["images"]["clean_because_nothing_names_them"] == 1
    assert record.unnamed == ["unnamed"]
    assert record.by_value == {3: 3, 1: 1}


def test_rows_without_photograph_are_refused_or_left_out(kaggle) -> None:
    (kaggle / "images" / "small.jpg").unlink()
    with pytest.raises(RowUnmatched, match=r"1 images that do not exist: small\.jpg.*--unmatched skip"):
        ingest(kaggle)
    assert ingest(kaggle, unmatched="skip").sources == 2


@pytest.mark.parametrize("row", ["unnamed.jpg,,", "unnamed.jpg,2.0,nan", "unnamed.jpg,3,-1", "unnamed.jpg,nan,NaN"])
def test_every_spelling_of_no_defect_is_clean(kaggle, row) -> None:
    with (kaggle / "train.csv").open("a") as table:
        table.write(f"{row}\n")
    record = ingest(kaggle, missing="error").record
    assert record.as_dict()["images"]["clean_by_annotation"] == 1


@pytest.mark.parametrize("row", ["large.jpg,3,", "large.jpg,,"])
def test_a_row_that_contradicts_another_is_refused(kaggle, row) -> None:
    with (kaggle / "train.csv").open("a") as table:
        table.write(f"{row}\n")
    with pytest.raises(RunLengthInvalid, match=r"row 5 gives large\.jpg no defect.*, but row [23] gives it one"):
        ingest(kaggle)


def test_all_bad_rows_are_named_at_once(kaggle) -> None:
    with (kaggle / "train.csv").open("a") as table:
        table.write("large.jpg,x,1 2\nsmall.jpg,1,0 5\nabsent.jpg,1,1 2\n")
    with pytest.raises(
        DatasetInvalid, match=r"(?s)3 problems.*row 5: .*class 'x'.*row 6 .*'0 5' leaves.*: absent\.jpg"
    ):
        ingest(kaggle)


@pytest.mark.parametrize(("separator", "encoding"), [(";", "utf-8-sig"), ("\t", "utf-16")])
def test_a_table_of_a_spreadsheet_is_read(kaggle, separator, encoding) -> None:
    text = (kaggle / "train.csv").read_text().replace(",", separator)
    (kaggle / "train.csv").write_bytes(text.encode(encoding))
    assert ingest(kaggle).defective == 4
