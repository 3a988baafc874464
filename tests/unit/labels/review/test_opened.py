"""What cannot be reviewed is named, with what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training.config import Config
from steel_training.labels.answers import FOLDER, Answer, AnswerInvalid, Said, append_answers
from steel_training.labels.audit_csv import AuditUnreadable, companion
from steel_training.labels.review.current import CannotReview
from steel_training.labels.review.opened import Choice, open_review
from steel_training.labels.review.review import Review
from steel_training.storage import open_storage

Begin = Callable[..., Review]
ANSWER = Answer(
    dataset="", fingerprint="f" * 64, patch_id="p0003", said=Said.DEFECTIVE, by="Ben", at="2026-01-02T10:00:00+00:00", seconds=2.5,
    blind=True,
)  # fmt: skip


def test_a_dataset_that_changed_since_the_audit_is_refused(begin: Begin, data: Path) -> None:
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(data / "patches/p0050.png")
    with pytest.raises(CannotReview, match=r"changed since .*audit\.csv was written \(fingerprint"):
        begin()


def test_labels_that_differ_are_seen_without_a_fingerprint(begin: Begin, data: Path, audit_file: Path) -> None:
    companion(audit_file).unlink()
    assert begin().window()["items"][0]["clean"] == []
    manifest = pd.read_csv(data / "manifest.csv")
    manifest.loc[7, "label"] = 1 - manifest.loc[7, "label"]
    manifest.to_csv(data / "manifest.csv", index=False)
    with pytest.raises(CannotReview, match="1 labels differ, such as that of 'p0007'"):
        begin()


def test_unknown_patches_of_the_audit_are_named(begin: Begin, audit_file: Path) -> None:
    audit_file.write_text(audit_file.read_text().replace("p0003,", "other,"))
    with pytest.raises(CannotReview, match="does not have, such as 'other'"):
        begin()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "does not exist"),
        ("a,b\n1,2\n", "no column patch_id"),
        ("\xff\x00", "is no file of"),
        ("", "is no file of"),
    ],
)
def test_a_file_that_is_no_audit_is_named(text: str | None, said: str, begin: Begin, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(AuditUnreadable, match=said):
        begin(audit=path)


def test_a_damaged_companion_is_named(begin: Begin, audit_file: Path) -> None:
    companion(audit_file).write_text("[]")
    with pytest.raises(AuditUnreadable, match=r"audit\.review\.json is damaged"):
        begin()


def test_answers_about_another_state_of_the_dataset_are_named(begin: Begin, data: Path, tmp_path: Path) -> None:
    append_answers(open_storage(tmp_path / "store"), "ben", [replace(ANSWER, dataset=str(data))])
    with pytest.raises(CannotReview, match="changed after 1 answers"):
        begin()


def test_answers_about_unknown_patches_are_named(begin: Begin, tmp_path: Path) -> None:
    sheet = begin().sheet
    for by in ("Ben", "Ada"):
        own = replace(ANSWER, dataset=sheet.dataset, fingerprint=sheet.fingerprint, patch_id=f"of {by}", by=by)
        append_answers(open_storage(tmp_path / "store"), by, [own])
        with pytest.raises(CannotReview, match=r"does not have, such as 'of "):
            begin()


def test_a_hand_edited_answer_is_named(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "store" / FOLDER).mkdir(parents=True)
    (tmp_path / "store" / FOLDER / "ben.jsonl").write_text("{}\n")
    with pytest.raises(AnswerInvalid, match=r"Line 1 of .*ben\.jsonl"):
        begin()


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"audit": None}, "Give --audit"),
        ({"audit": None, "blind": True}, "say how many"),
        ({"audit": None, "blind": True, "controls": 3, "first": 2}, "Give --audit"),
        ({"controls": 3}, "add --blind"),
        ({"split": "test"}, "1 in the test split are"),
        ({"split": "other"}, "there are 'test', 'train'"),
        ({"blind": True, "controls": 0, "first": 0}, "Nothing to review"),
    ],
)
def test_a_choice_that_cannot_be_made_is_explained(choice: dict, said: str, begin: Begin) -> None:
    with pytest.raises(CannotReview, match=said):
        begin(**choice)


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
def test_a_reviewer_must_have_a_name(name: str, begin: Begin) -> None:
    with pytest.raises(CannotReview, match="is no name"):
        begin(name)


def test_a_test_split_is_read_whole_and_blind(begin: Begin) -> None:
    assert begin(audit=None, blind=True, controls=1000, split="test").window()["total"] == 12
    assert begin(blind=True, controls=1000, split="test").window()["total"] == 12
    assert begin(blind=True).window()["total"] == 8


def test_a_formula_as_name_finds_its_patch(data: Path, audit_file: Path, tmp_path: Path) -> None:
    companion(audit_file).unlink()
    for file, name in ((data / "manifest.csv", "=1+1"), (audit_file, "'=1+1")):
        file.write_text(file.read_text().replace("p0003,", f"{name},"))
    review = open_review(str(data), str(tmp_path / "store"), "Ada", Choice(audit_file), Config(), key=b"k")
    assert review.window()["items"][0]["patch_id"] == "=1+1"
