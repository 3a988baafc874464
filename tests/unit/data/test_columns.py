"""Columns of a manifest: the contract's, a run's, and further ones by which a test split can be sliced."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from steel_training.data.columns import SliceColumnMissing, further_columns, slice_columns

MANIFEST = pd.DataFrame(
    {
        "patch_id": np.arange(120),
        "label": [1, 0] * 60,
        "source_id": np.arange(120) // 4,
        "line": np.repeat(["west", "east", "east"], 40),
        "defect_type": ["scratch", ""] * 60,
        "speed": np.arange(120) * 0.1,
        "mill": "one",
        "part": ["test", "val"] * 60,
        "group": np.arange(120) // 40,
    }
)


def test_further_columns_are_neither_of_contract_nor_run() -> None:
    assert further_columns(MANIFEST) == ["line", "speed", "mill"]


def test_columns_of_two_to_twenty_values_are_sliced_by() -> None:
    assert slice_columns(MANIFEST, []) == ["line"]
    assert slice_columns(MANIFEST.assign(shift=np.arange(120) % 3), []) == ["line", "shift"]
    kinds = np.where(np.arange(120) % 3 == 0, "scratch", "pit")
    assert slice_columns(MANIFEST.assign(defect_type=kinds, line=" "), []) == ["defect_type"]


def test_named_columns_are_sliced_by_whatever_they_hold() -> None:
    assert slice_columns(MANIFEST, ["mill", "defect_type", "mill"]) == ["mill", "defect_type"]
    with pytest.raises(SliceColumnMissing, match="lines"):
        slice_columns(MANIFEST, ["lines"])
