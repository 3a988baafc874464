from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.data.dataset import find_dataset
from steel_training.errors import UsageError
from steel_training.ingest import ingest_voc
from steel_training.ingest.cut_rule import VOC_RULE
from steel_training.ingest.tiling import CutRule, SizesDiffer
from steel_training.ingest.voc import (
    AnnotationAmbiguous,
    AnnotationInvalid,
    AnnotationMissing,
    AnnotationUnmatched,
    Box,
    ClassUndefined,
    read_boxes,
)


def annotation(*boxes: tuple[str, int, int, int, int], width: int = 200, height: int = 200) -> str:
    objects = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for name, left, top, right, bottom in boxes
    )
    return (
        f"<annotation><filename>x.jpg</filename><size><width>{width}</width><height>{height}</height>"
        f"<depth>1</depth></size>{objects}</annotation>"
    )


@pytest.fixture
def boxed(tmp_path, save, steel) -> Path:
    """Photographs in a folder a class and annotations in one, as NEU-DET has them."""
    save(tmp_path / "images" / "crazing" / "crazing_1.jpg", steel(200, 200, seed=1))
    save(tmp_path / "images" / "scratches" / "scratches_1.jpg", steel(200, 200, seed=2))
    save(tmp_path / "images" / "clean_1.jpg", steel(200, 200, seed=3))
    folder = tmp_path / "annotations"
    folder.mkdir()
    (folder / "crazing_1.xml").write_text(annotation(("crazing", 1, 1, 128, 64), ("inclusion", 1, 1, 20, 20)))
    (folder / "scratches_1.xml").write_text(annotation(("scratches", 60, 1, 70, 200)))
    (folder / "clean_1.xml").write_text(annotation())
    return tmp_path


# The figures of these tests are those of a grid without patches at the edge.
GRID = replace(VOC_RULE, cover_edges=False)


def ingest(folder: Path, **options):
    options = {"rule": GRID, **options}
    return ingest_voc(str(folder / "images"), str(folder / "annotations"), str(folder / "out"), **options)


def test_boxes_become_labelled_patches(boxed) -> None:
    summary = ingest(boxed)
    table = find_dataset(str(boxed / "out")).manifest
    crazing = table[table["source_id"] == "crazing/crazing_1"].set_index(["x", "y"])
    assert crazing.query("label == 1")["defect_type"].to_dict() == {(0, 0): "crazing", (64, 0): "crazing"}
    assert (crazing["label"] == 0).sum() == 7
    # The box of the scratch covers 8 and 9 % of two columns of patches: too little to be sure, too much to be clean.
    assert table[table["source_id"] == "scratches/scratches_1"]["x"].unique().tolist() == [128]
    assert (summary.sources, summary.undecided) == (3, 6)


def test_a_smaller_share_can_be_asked_for(boxed) -> None:
    ingest(boxed, rule=CutRule(defective_min=0.05, cover_edges=False))
    table = find_dataset(str(boxed / "out")).manifest
    assert (table[table["source_id"] == "scratches/scratches_1"]["label"] == 1).sum() == 6


def test_whole_photographs_are_defective_when_they_have_a_box(boxed) -> None:
    ingest(boxed, whole=True)
    table = find_dataset(str(boxed / "out")).manifest.set_index("source_id")
    assert table["label"].to_dict() == {"clean_1": 0, "crazing/crazing_1": 1, "scratches/scratches_1": 1}
    assert table.loc["crazing/crazing_1", "defect_type"] == "crazing"


def test_whole_photographs_must_be_of_one_size(boxed, save, steel) -> None:
    save(boxed / "images" / "clean_1.jpg", steel(100, 200))
    (boxed / "annotations" / "clean_1.xml").write_text(annotation(height=100))
    with pytest.raises(SizesDiffer, match="200×200 pixels grey, earlier images are 200×100"):
        ingest(boxed, whole=True)


def test_missing_annotation_is_an_error_unless_clean(boxed) -> None:
    (boxed / "annotations" / "clean_1.xml").unlink()
    with pytest.raises(AnnotationMissing, match=r"1 of 3 images .* clean_1\. .*--missing clean"):
        ingest(boxed)
    ingest(boxed, missing="clean")
    table = find_dataset(str(boxed / "out")).manifest
    assert (table[table["source_id"] == "clean_1"]["label"] == 0).all()


def test_no_annotations_at_all_are_refused(boxed) -> None:
    with pytest.raises(AnnotationMissing, match="3 of 3"):
        ingest_voc(str(boxed / "images"), str(boxed / "images"), str(boxed / "out"), missing="clean")


def test_box_edges_are_inclusive_and_one_based() -> None:
    (box,) = read_boxes(annotation(("pit", 1, 2, 1, 3)).encode(), (200, 200), "a.xml")
    assert box == Box("pit", left=0, top=1, right=1, bottom=3)


@given(
    left=st.integers(-3, 45),
    top=st.integers(-3, 35),
    right=st.integers(-3, 45),
    bottom=st.integers(-3, 35),
)
def test_any_box_lies_inside_its_photograph_or_is_refused(left, top, right, bottom) -> None:
    text = annotation(("pit", left, top, right, bottom), width=40, height=30)
    try:
        (box,) = read_boxes(text.encode(), (30, 40), "a.xml")
    except AnnotationInvalid as error:
        assert f"xmin={left}" in str(error)
        assert not (1 <= left <= right <= 40 and 1 <= top <= bottom <= 30)
    else:
        assert 0 <= box.left < box.right <= 40
        assert 0 <= box.top < box.bottom <= 30


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
    "<annotation><object><name>&b;</name></object></annotation>"
)
FILE = '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hostname">]><annotation><folder>&f;</folder></annotation>'


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (BOMB.encode(), "declares entities"),
        (BOMB.replace("?>", ' encoding="utf-16"?>', 1).encode("utf-16"), "declares entities"),
        (FILE.encode(), "declares entities"),
        (b"<annotation><object>", "not well-formed XML"),
        (b"", "not well-formed XML"),
        (b"\xff\xd8\xff\xe0 not xml", "not well-formed XML"),
        (b"<html/>", "begins with <html>"),
        (b"<annotation><object><name>pit</name></object></annotation>", "object 1: xmin=None"),
        (
            b"<annotation><object><robndbox><cx>9</cx></robndbox></object></annotation>",
            "rotated box .* Save upright boxes",
        ),
        (annotation(("pit", 10, 10, 5, 20)).encode(), "xmin=10, ymin=10, xmax=5"),
        (annotation(("pit", 10, 10, 900, 20)).encode(), r"xmax=900.* 200×200"),
        (annotation().replace("<object>", "").encode() + b" " * (5 << 20), "at most"),
    ],
)
def test_annotations_that_are_broken_or_dangerous_are_refused(data, told) -> None:
    with pytest.raises(AnnotationInvalid, match=told) as raised:
        read_boxes(data, (200, 200), "a.xml")
    assert isinstance(raised.value, UsageError)
    assert str(raised.value).startswith("a.xml")


def test_an_annotation_of_another_size_is_refused() -> None:
    with pytest.raises(SizesDiffer, match="400×200 pixels, the image is 200×200"):
        read_boxes(annotation(width=400).encode(), (200, 200), "a.xml")


def test_a_photograph_without_annotation_can_be_left_out(boxed) -> None:
    (boxed / "annotations" / "clean_1.xml").unlink()
    summary = ingest(boxed, missing="skip")
    assert summary.sources == 2
    assert list(summary.record.left_out.values()) == [["clean_1"]]


def test_an_annotation_without_photograph_is_refused_or_left_out(boxed) -> None:
    (boxed / "images" / "clean_1.jpg").unlink()
    with pytest.raises(AnnotationUnmatched, match=r"1 XML files belong to no image: clean_1\.xml.*--unmatched skip"):
        ingest(boxed)
    assert ingest(boxed, unmatched="skip").sources == 2


def test_photographs_of_one_name_do_not_share_an_annotation(boxed, save, steel) -> None:
    save(boxed / "images" / "other" / "crazing_1.jpg", steel(200, 200))
    with pytest.raises(
        AnnotationAmbiguous, match=r"(?s)crazing/crazing_1 could belong to crazing_1\.xml, and so could other/crazing_1"
    ):
        ingest(boxed, missing="clean")


def test_two_annotations_of_one_name_are_no_clean_photograph(boxed) -> None:
    for folder in ("a", "b"):
        (boxed / "annotations" / folder).mkdir()
        (boxed / "annotations" / folder / "crazing_1.xml").write_text(annotation())
    (boxed / "annotations" / "crazing_1.xml").unlink()
    with pytest.raises(AnnotationAmbiguous, match=r"could belong to a/crazing_1\.xml, b/crazing_1\.xml"):
        ingest(boxed, missing="clean")


@pytest.mark.parametrize("name", ["ok", "Background", "no_defect"])
def test_a_class_that_sounds_clean_must_be_explained(boxed, name) -> None:
    (boxed / "annotations" / "clean_1.xml").write_text(annotation((name, 1, 1, 200, 200)))
    with pytest.raises(ClassUndefined, match=rf"'{name}' in 1 XML files does not sound .*--clean-names {name} "):
        ingest(boxed)
    record = ingest(boxed, clean_names=[name]).record
    assert record.as_dict()["images"]["clean_by_annotation"] == 1
    assert name not in record.by_class


def test_a_class_that_nobody_named_is_refused(boxed) -> None:
    with pytest.raises(ClassUndefined, match=r"'scratches' in 1 XML files is not in --names: scratches_1\.xml"):
        ingest(boxed, names=["crazing", "inclusion"])
    with pytest.raises(ClassUndefined, match="--clean-names ok"):
        ingest(boxed, names=["ok"])


def test_all_broken_annotations_are_named_at_once(boxed) -> None:
    (boxed / "annotations" / "clean_1.xml").write_text(annotation(("pit", 190, 1, 202, 9), ("pit", 9, 1, 5, 9)))
    (boxed / "annotations" / "crazing_1.xml").write_text(annotation(("pit", 190, 1, 201, 9)))
    with pytest.raises(
        AnnotationInvalid, match=r"(?s)2 problems.*object 1: .*xmax=202.*; object 2: .*xmin=9.*crazing_1"
    ):
        ingest(boxed)


@pytest.mark.parametrize("encoding", ["gb2312", "gbk", "euc-jp", "windows-1252", "utf-16"])
def test_annotations_in_other_encodings_are_read(encoding) -> None:
    name = "Süd" if encoding == "windows-1252" else "断裂"
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + annotation((name, 1, 1, 5, 5))
    (box,) = read_boxes(text.encode(encoding), (200, 200), "a.xml")
    assert box.name == name


@pytest.mark.parametrize("encoding", ["klingon", "gb2312"])
def test_an_encoding_that_does_not_hold_is_named(encoding) -> None:
    data = f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + annotation(("\xff", 1, 1, 5, 5)).encode("latin-1")
    with pytest.raises(AnnotationInvalid, match=f"declares the encoding {encoding}"):
        read_boxes(data, (200, 200), "a.xml")


def test_a_size_of_the_stored_pixels_names_the_orientation() -> None:
    data = annotation(width=400).encode()
    with pytest.raises(SizesDiffer, match="EXIF orientation"):
        read_boxes(data, (400, 200), "a.xml", rotated=True)
    with pytest.raises(SizesDiffer, match="swapped"):
        read_boxes(data, (400, 200), "a.xml")


WHOLE = f'<?xml version="1.0" encoding="gb2312"?>{annotation(("pit", 1, 1, 5, 5), ("裂", 2, 2, 9, 9))}'.encode("gb2312")


@settings(max_examples=1000)
@given(st.data())
def test_a_mutilated_annotation_is_read_or_refused(data) -> None:
    broken = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(broken) - 1))
        broken[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        boxes = read_boxes(bytes(broken), (200, 200), "a.xml")
    except UsageError as error:
        assert str(error).startswith("a.xml")
    else:
        assert all(0 <= box.left < box.right <= 200 and 0 <= box.top < box.bottom <= 200 for box in boxes)
