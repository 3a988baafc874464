"""What answers come to: agreement changes a label, disagreement is listed, and the test split counts blind answers only."""

from __future__ import annotations

import pytest

from steel_training.labels.answers import Answer, Said
from steel_training.labels.corrections import corrections, standing

LABELS = {"a": 0, "b": 1, "t": 0}
SPLITS = {"a": "train", "b": "val", "t": "test"}


def answers(*given: tuple[str, str, str] | tuple[str, str, str, bool]) -> list[Answer]:
    return [
        Answer("d", "f", patch, Said(said), by, f"2026-01-02T10:00:{n:02d}+00:00", 1.0, bool(blind and blind[0]))
        for n, (patch, said, by, *blind) in enumerate(given)
    ]


def test_an_agreed_label_is_changed_with_who_and_when() -> None:
    found = corrections(answers(("a", "defective", "Ada"), ("a", "defective", "Bo", True)), LABELS, SPLITS)
    (change,) = found.changed
    assert (change.patch_id, change.was, change.label, change.by) == ("a", 0, 1, ("Ada", "Bo"))
    assert change.at == "2026-01-02T10:00:01+00:00"
    assert not change.blind


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ([("a", "clean", "Ada")], "confirmed"),
        ([("a", "cannot_tell", "Ada")], "undecided"),
        ([("a", "defective", "Ada"), ("a", "clean", "Bo")], "contradicting"),
        ([("a", "defective", "Ada"), ("a", "clean", "Ada")], "contradicting"),
        ([("t", "defective", "Ada")], "not_blind"),
        ([("x", "defective", "Ada")], "unknown"),
    ],
)
def test_what_changes_no_label_is_listed(given: list, where: str) -> None:
    found = corrections(answers(*given), LABELS, SPLITS)
    assert not found.changed
    assert {name: names for name, names in vars(found).items() if names} == {where: (given[0][0],)}


def test_test_split_counts_blind_answers_only() -> None:
    found = corrections(answers(("t", "clean", "Ada"), ("t", "defective", "Bo", True)), LABELS, SPLITS)
    assert [(change.patch_id, change.by, change.blind) for change in found.changed] == [("t", ("Bo",), True)]


def test_cannot_tell_does_not_outvote_another() -> None:
    found = corrections(answers(("b", "cannot_tell", "Ada"), ("b", "clean", "Bo")), LABELS, SPLITS)
    assert [(change.patch_id, change.label, change.by) for change in found.changed] == [("b", 0, ("Bo",))]


def test_undo_takes_back_the_last_of_the_same_person() -> None:
    given = answers(
        *(("a", "clean", "Ada"), ("a", "defective", "Bo"), ("a", "undo", "Ada"), ("a", "undo", "Ada")),
        *(("b", "undo", "Bo"), ("a", "defective", "Ada")),
    )
    assert [(answer.by, str(answer.said)) for answer in standing(given)] == [("Bo", "defective"), ("Ada", "defective")]
