"""The CSV file of an audit: six columns first, no formula, whole or absent."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from steel_training.data.dataset import OutputExists
from steel_training.labels.audit_csv import write_audit_csv


def table(**columns: object) -> pd.DataFrame:
    row = {
        "row": [0, 1],
        "patch_id": ["p1", "p2"],
        "label": [0, 1],
        "suggested": [1, 1],
        "quality": [0.01234567, 0.9],
        "score": [0.9, 0.8],
        "group": ["g1", "g2"],
        "split": ["train", ""],
        "neighbours": [1.0, float("nan")],
        "copy": [True, False],
    }
    return pd.DataFrame({**row, **columns})


def test_columns_and_rows_keep_their_order(tmp_path: Path) -> None:
    write_audit_csv(tmp_path / "a.csv", table())
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0].startswith("patch_id,label,suggested,quality,score,group,")
    assert lines[1:] == ["p1,0,1,0.0123,0.9,g1,train,1.0,1", "p2,1,1,0.9,0.8,g2,,,0"]


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@x", "\tx"])
def test_text_that_is_a_formula_is_quoted(name: str, tmp_path: Path) -> None:
    write_audit_csv(tmp_path / "a.csv", table(patch_id=[name, "p2"], group=["g1", name]))
    read = pd.read_csv(tmp_path / "a.csv", dtype=str)
    assert read["patch_id"][0] == read["group"][1] == f"'{name}"


def test_a_file_that_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mine")
    with pytest.raises(OutputExists, match=r"a\.csv exists"):
        write_audit_csv(tmp_path / "a.csv", table())
    assert (tmp_path / "a.csv").read_text() == "mine"


def test_nothing_is_left_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        write_audit_csv(tmp_path / "a.csv", table().drop(columns="score"))
    assert not list(tmp_path.iterdir())
