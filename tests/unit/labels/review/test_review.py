"""A reviewer goes through a queue: nothing is lost, taking back is a record, and a blind page knows nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from steel_training.labels.answers import FOLDER, Answer, Said, append_answers, read_answers
from steel_training.labels.review import own_answers
from steel_training.labels.review.review import AHEAD, AnswerRefused, Review
from steel_training.storage import open_storage

from .conftest import SUSPECTS

Begin = Callable[..., Review]


def names(window: dict) -> list[str]:
    return [item["name"] for item in window["items"]]


def test_answers_are_records_of_what_was_shown(begin: Begin, tmp_path: Path, data: Path) -> None:
    review = begin()
    first = review.window()
    assert (first["answered"], first["total"], first["can_undo"]) == (0, 3, False)
    assert [item["patch_id"] for item in first["items"]] == SUSPECTS[:3]
    after = review.answer(names(first)[0], Said.CLEAN, 2.517, "Ada")
    assert (after["answered"], after["can_undo"], names(after)) == (1, True, names(first)[1:])
    (answer,) = read_answers(open_storage(tmp_path / "store"))
    assert (answer.patch_id, answer.said, answer.by, answer.blind) == ("p0003", Said.CLEAN, "Ada", False)
    assert (answer.dataset, answer.seconds) == (str(data), 2.52)
    shown = {"label": 1, "suggested": 0, "quality": 0.01, "score": 0.5, "surroundings": True}
    assert answer.shown == {**shown, "clean": ["p0001", "p0002"], "defective": ["p0006"]}


def test_an_answer_is_taken_back_by_a_record(begin: Begin, tmp_path: Path) -> None:
    review = begin()
    first = names(review.window())
    review.answer(first[0], Said.CLEAN, 1, "Ada")
    review.answer(first[1], Said.CANNOT_TELL, 1, "Ada")
    assert names(review.undo("Ada")) == first[1:]
    assert names(review.undo("Ada")) == first
    with pytest.raises(AnswerRefused, match="no answer to take back"):
        review.undo("Ada")
    said = [(answer.patch_id, answer.said) for answer in read_answers(open_storage(tmp_path / "store"))]
    assert said == [("p0003", Said.CLEAN), ("p0010", Said.CANNOT_TELL), ("p0010", Said.UNDO), ("p0003", Said.UNDO)]


def test_a_later_sitting_goes_on_where_the_first_stopped(begin: Begin) -> None:
    first = begin()
    first.answer(names(first.window())[1], Said.CLEAN, 1, "Ada")
    again = begin().window()
    assert again["answered"] == 1
    assert [item["patch_id"] for item in again["items"]] == ["p0003", "p0021"]
    assert begin("Ben").window()["answered"] == 0
    assert begin().undo("Ada")["answered"] == 0


def test_two_windows_of_one_person_see_each_other(begin: Begin) -> None:
    one, other = begin(), begin()
    name = names(one.window())[0]
    one.answer(name, Said.CLEAN, 1, "Ada")
    with pytest.raises(AnswerRefused, match="answered about this patch already"):
        other.answer(name, Said.DEFECTIVE, 1, "Ada")
    assert other.window()["answered"] == 1
    other.undo("Ada")
    assert one.window()["answered"] == 0


def test_foreign_patches_and_impossible_times_are_refused(begin: Begin, tmp_path: Path) -> None:
    review = begin()
    name = names(review.window())[0]
    for asked, seconds in (("0" * 32, 1.0), ("p0003", 1.0), (name, -1.0), (name, float("nan")), (name, float("inf"))):
        with pytest.raises(AnswerRefused, match="nothing was recorded"):
            review.answer(asked, Said.CLEAN, seconds, "Ada")
    assert read_answers(open_storage(tmp_path / "store")) == []


def test_a_blind_page_is_sent_neither_label_nor_score(begin: Begin, data: Path) -> None:
    manifest = pd.read_csv(data / "manifest.csv")
    review = begin(blind=True, controls=100, seed=5)
    seen, window = [], review.window()
    assert window["total"] == 60
    while window["items"]:
        text = json.dumps(window)
        for item in window["items"]:
            assert set(item) == {"name", "picture", "around"}
            assert all(set(each) == {"picture", "right", "down"} for each in item["around"])
        for telling in [
            *manifest["patch_id"],
            *manifest["path"],
            *manifest["source_id"],
            "label",
            "clean",
            "defect",
            "score",
        ]:
            assert telling not in text
        assert len(window["items"]) <= AHEAD
        seen.append(window["items"][0]["name"])
        window = review.answer(seen[-1], Said.CLEAN, 1, "Ada")
    assert len(set(seen)) == 60


def test_what_is_blind_depends_on_no_label(begin: Begin, data: Path, audit_file: Path) -> None:
    before = begin(blind=True, controls=100).window()
    turned = pd.read_csv(audit_file).assign(label=lambda t: 1 - t["label"], score=0.9)
    turned.to_csv(audit_file, index=False)
    audit_file.with_suffix(".review.json").unlink()
    pd.read_csv(data / "manifest.csv").assign(label=lambda t: 1 - t["label"]).to_csv(data / "manifest.csv", index=False)
    assert begin(blind=True, controls=100).window() == before


def test_who_saw_a_label_does_not_get_the_patch_blind(begin: Begin, tmp_path: Path) -> None:
    openly = begin()
    openly.answer(names(openly.window())[0], Said.CLEAN, 1, "Ada")
    openly.undo("Ada")
    blind = begin(blind=True, controls=100)
    assert (blind.window()["total"], blind.left_out) == (59, 1)
    assert begin("Ben", blind=True, controls=100).window()["total"] == 60
    blind.answer(names(blind.window())[0], Said.CLEAN, 1, "Ada")
    (answer,) = [each for each in read_answers(open_storage(tmp_path / "store")) if each.blind]
    assert answer.shown == {"surroundings": True}


ANSWER_ALL = """
import sys
from pathlib import Path
from steel_training.config import Config
from steel_training.labels.answers import Said
from steel_training.labels.review.opened import Choice, open_review
data, store, audit, reviewer = sys.argv[1:]
review = open_review(data, store, reviewer, Choice(Path(audit), blind=True, controls=100), Config(), key=b"key")
window = review.window()
while window["items"]:
    window = review.answer(window["items"][0]["name"], Said.DEFECTIVE, 1, reviewer)
"""


def test_two_processes_at_once_lose_nothing(data: Path, audit_file: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", ANSWER_ALL, str(data), str(tmp_path / "store"), str(audit_file)]
    for process in [subprocess.Popen([*words, name]) for name in ("Ada", "Ben")]:
        assert process.wait(300) == 0
    answers = read_answers(open_storage(tmp_path / "store"))
    assert {(answer.by, answer.patch_id) for answer in answers} == {
        (name, f"p{number:04d}") for name in ("Ada", "Ben") for number in range(60)
    }
    assert len(answers) == 120


def test_files_of_answers_stay_small(begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_answers, "_LINES", 100)
    review = begin(blind=True, controls=100)
    window = review.window()
    for _ in range(60):
        review.answer(window["items"][0]["name"], Said.CLEAN, 1, "Ada")
        window = review.undo("Ada")
    files = list((tmp_path / "store" / FOLDER).glob("*.jsonl"))
    assert sorted(len(file.read_text().splitlines()) for file in files) == [20, 100]
    assert begin(blind=True, controls=100).window() == window


def test_a_file_that_was_cut_during_a_review_is_named(begin: Begin, tmp_path: Path) -> None:
    from steel_training.labels.answers import AnswerInvalid

    review = begin()
    for _ in range(2):
        review.answer(names(review.window())[0], Said.CLEAN, 1, "Ada")
    (file,) = (tmp_path / "store" / FOLDER).glob("*.jsonl")
    file.write_text(file.read_text().splitlines()[0] + "\n")
    with pytest.raises(AnswerInvalid, match="changed by hand"):
        review.window()


def test_answers_written_elsewhere_count(begin: Begin, tmp_path: Path) -> None:
    review = begin()
    said = Answer(
        dataset=review.sheet.dataset, fingerprint=review.sheet.fingerprint, patch_id="p0003", said=Said.CLEAN, by="Ada",
        at="2026-01-02T10:00:00+00:00", seconds=1, blind=False,
    )  # fmt: skip
    append_answers(open_storage(tmp_path / "store"), "imported", [said])
    assert begin().window()["answered"] == 1
