"""The record of patches to review reads back, and a damaged one is named."""

from __future__ import annotations

import json

import pytest

from steel_training.labels.review.sheet import Neighbour, Placed, Sheet, SheetPatch, SheetUnreadable
from steel_training.storage.schema import SCHEMA, WrittenByNewer

PATCH = SheetPatch(
    "p1", "a/p1.png", 1, "train", True, 0, 0.1, 0.2, (Placed("b.png", 1.0, 0.0),), (Neighbour("p2", "c.png"),), ()
)
SHEET = Sheet("/data/2026-01-01", "f" * 64, "manifest.csv", "0" * 32, (PATCH, SheetPatch("p2", "c.png", 0)))


def test_a_sheet_reads_back() -> None:
    assert Sheet.from_dict(json.loads(json.dumps(SHEET.to_dict()))) == SHEET


@pytest.mark.parametrize(
    "change",
    [{"patches": [{}]}, {"patches": None}, {"patches": [{**SHEET.to_dict()["patches"][0], "extra": 1}]}],
)
def test_a_damaged_sheet_is_named(change: dict) -> None:
    with pytest.raises(SheetUnreadable, match="run the audit again"):
        Sheet.from_dict({**SHEET.to_dict(), **change})


def test_a_sheet_of_a_later_schema_is_refused() -> None:
    with pytest.raises(WrittenByNewer):
        Sheet.from_dict({**SHEET.to_dict(), "schema": SCHEMA + 1})
