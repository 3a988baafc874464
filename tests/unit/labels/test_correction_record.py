"""`corrections.csv`: what a version's test labels were before, and every way in which the record can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from steel_training.labels.correction_record import RECORD, RecordUnusable, labels_before, write_record
from steel_training.labels.corrections import Correction
from steel_training.storage import open_storage

PATCHES = pd.DataFrame(
    {
        "patch_id": ["007", "NA", "c", "d", "e"],
        "label": [1, 0, 1, 0, 1],
        "part": ["test", "train", "test", "test", "val"],
    }
)


def correction(patch_id: str, label: int, *, blind: bool = True) -> Correction:
    return Correction(patch_id, 1 - label, label, ("Ada, of the mill", "Ben"), "2026-02-01T10:00:00+00:00", blind)


def before(folder: Path) -> list[int] | None:
    found = labels_before(open_storage(str(folder)), PATCHES)
    return None if found is None else found.tolist()


def test_labels_of_the_test_split_are_put_back(tmp_path: Path) -> None:
    write_record(tmp_path, [correction("007", 1), correction("d", 0), correction("NA", 0, blind=False)])
    assert before(tmp_path) == [0, 1, 1], "007, c and d; names stay what they are"


@pytest.mark.parametrize("changed", [None, [correction("NA", 0, blind=False), correction("e", 1)]])
def test_nothing_is_known_of_a_test_split_that_was_not_corrected(
    tmp_path: Path, changed: list[Correction] | None
) -> None:
    if changed is not None:
        write_record(tmp_path, changed)
    assert before(tmp_path) is None


def cell(row: int, column: str, value: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table.assign(**{column: [value if n == row else old for n, old in enumerate(table[column])]})


EDITED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "label": (cell(0, "label", "2"), "another label than 0 and 1 in 1 of 2 rows, the first about '007'"),
    "empty": (cell(1, "was", ""), "another label than 0 and 1"),
    "unchanged": (cell(0, "was", "1"), "the same label before and after"),
    "twice": (lambda table: pd.concat([table, table.head(1)]), "names a patch twice"),
    "stranger": (cell(1, "patch_id", "zz"), "does not have in 1 of 2 rows, the first about 'zz'"),
    "manifest": (lambda table: cell(0, "label", "0")(cell(0, "was", "1")(table)), "another label than the manifest"),
    "not blind": (cell(0, "blind", "0"), "was not reviewed blind"),
    "column": (lambda table: table.drop(columns="was"), "lacks the column was"),
}


@pytest.mark.parametrize("case", EDITED)
def test_an_edited_record_is_refused_and_named(tmp_path: Path, case: str) -> None:
    change, said = EDITED[case]
    write_record(tmp_path, [correction("007", 1), correction("d", 0)])
    change(pd.read_csv(tmp_path / RECORD, dtype=str)).to_csv(tmp_path / RECORD, index=False)
    with pytest.raises(RecordUnusable, match="Restore it as it was written, or remove it") as refused:
        before(tmp_path)
    assert said in str(refused.value)
    assert RECORD in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", "patch_id,was\nB\u00e4ndchen,1".encode("latin-1")])
def test_a_record_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RECORD).write_bytes(content)
    with pytest.raises(RecordUnusable, match="cannot be read"):
        before(tmp_path)
