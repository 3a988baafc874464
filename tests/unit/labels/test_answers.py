"""Answers are appended and never lost, whoever else writes; a line edited by hand is named."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.labels.answers import FOLDER, Answer, AnswerInvalid, Said, append_answers, read_answers
from steel_training.storage import open_storage
from steel_training.storage.schema import SCHEMA, WrittenByNewer

ANSWER = Answer(
    dataset="/data/2026-01-01", fingerprint="f" * 64, patch_id="p1", said=Said.DEFECTIVE, by="Ada", at="2026-01-02T10:00:00+00:00",
    seconds=2.5, blind=True, shown={"neighbours": ["p2"]},
)  # fmt: skip


@given(
    patch_id=st.text(max_size=30), by=st.text(min_size=1, max_size=20).filter(str.strip), said=st.sampled_from(Said), blind=st.booleans(),
    seconds=st.floats(0, 1e6),
)  # fmt: skip
def test_an_answer_is_one_line_and_reads_back(**fields: object) -> None:
    answer = replace(ANSWER, **fields)
    line = answer.to_line()
    assert "\n" not in line
    assert Answer.from_dict(json.loads(line)) == answer


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_writers_at_once_lose_nothing(where: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    uri = str(tmp_path) if where == "folder" else request.getfixturevalue("s3") + "/answers-at-once"

    def write(number: int) -> None:
        append_answers(open_storage(uri), "both" if number % 2 else "own", [replace(ANSWER, patch_id=f"p{number}")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    assert sorted(answer.patch_id for answer in read_answers(open_storage(uri))) == sorted(f"p{n}" for n in range(12))


def test_answers_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    store = open_storage(tmp_path)
    append_answers(store, "b", [replace(ANSWER, at="2026-01-02T12:00:00+01:00", patch_id="later")])
    append_answers(store, "a", [replace(ANSWER, at="2026-01-02T11:30:00+01:00", patch_id="sooner")])
    assert [answer.patch_id for answer in read_answers(store)] == ["sooner", "later"]
    assert read_answers(open_storage(tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"said": "maybe"}, "maybe"),
        ({"by": " "}, "by is empty"),
        ({"at": "2026-01-02T10:00:00"}, "without a time zone"),
        ({"at": "yesterday"}, "yesterday"),
        ({"seconds": -1}, "seconds"),
        ({"blind": "yes"}, "blind"),
        ({"patch_id": None}, "patch_id"),
    ],
)
def test_a_line_edited_by_hand_is_named(change: dict, said: str, tmp_path: Path) -> None:
    store = open_storage(tmp_path)
    append_answers(store, "ada", [ANSWER])
    file = tmp_path / FOLDER / "ada.jsonl"
    file.write_text(file.read_text() + json.dumps({**json.loads(ANSWER.to_line()), **change}) + "\n")
    with pytest.raises(AnswerInvalid, match=r"Line 2 of .*ada\.jsonl") as refused:
        read_answers(store)
    assert said in str(refused.value)


@pytest.mark.parametrize("broken", ["{", "[1]", "\xff"])
def test_damaged_lines_are_named(broken: str, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "x.jsonl").write_bytes(broken.encode("latin-1") + b"\n")
    with pytest.raises(AnswerInvalid, match="Line 1"):
        read_answers(open_storage(tmp_path))


def test_answers_of_a_later_schema_are_refused(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    record = {**json.loads(ANSWER.to_line()), "schema": SCHEMA + 1}
    (tmp_path / FOLDER / "x.jsonl").write_text(json.dumps(record))
    with pytest.raises(WrittenByNewer):
        read_answers(open_storage(tmp_path))


@pytest.mark.parametrize("session", ["", "../x", "a/b", ".hidden", "x" * 101])
def test_a_session_must_be_a_file_name(session: str, tmp_path: Path) -> None:
    with pytest.raises(AnswerInvalid, match="no file name"):
        append_answers(open_storage(tmp_path), session, [ANSWER])


def test_of_answers_with_an_impossible_one_none_is_written(tmp_path: Path) -> None:
    with pytest.raises(AnswerInvalid, match="cannot be recorded"):
        append_answers(open_storage(tmp_path), "ada", [ANSWER, replace(ANSWER, by="")])
    assert read_answers(open_storage(tmp_path)) == []
