"""Slices: metadata columns of a few values, judged where enough defects support them, the worst one named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from steel_training.evaluation.slices import slices_of, worst

LABELS = np.array([1, 0] * 60)
ROWS = pd.DataFrame(
    {
        "patch_id": np.arange(120),
        "label": LABELS,
        "source_id": np.arange(120) // 4,
        "line": np.repeat(["west", "east", "east"], 40),
        "defect_type": np.where(LABELS == 1, "scratch", ""),
        "speed": np.arange(120) * 0.1,
        "mill": "one",
    }
)
CALLED = (LABELS == 1) & ~((np.arange(120) < 40) & (np.arange(120) % 8 == 0))  # one in four missed on line west
BOUNDS = {"confidence": 0.95, "resamples": 100, "seed": 0}


def judged(columns: list[str], min_defects: int = 20) -> dict:
    found = slices_of(ROWS, columns, LABELS, CALLED, np.arange(120) // 4, min_defects=min_defects, **BOUNDS)
    return {(each.column, each.value): each for each in found}


def test_recall_per_value_and_worst_supported_slice() -> None:
    found = judged(["line"])
    assert found["line", "west"].recall.value == pytest.approx(0.75)
    assert found["line", "west"].recall.bound < 0.75
    assert found["line", "east"].recall.value == 1.0
    assert (found["line", "east"].patches, found["line", "east"].defects) == (80, 40)
    weakest = worst(list(found.values()))
    assert weakest is not None
    assert weakest.value == "west"


def test_a_slice_of_few_defects_is_shown_and_never_the_worst() -> None:
    found = judged(["line"], min_defects=21)
    assert not found["line", "west"].supported
    weakest = worst(list(found.values()))
    assert weakest is not None
    assert weakest.value == "east"
    assert worst([]) is None


def test_a_kind_of_defect_has_a_recall_and_no_false_alarms() -> None:
    found = judged(["defect_type"])
    assert set(found) == {("defect_type", "scratch")}, "clean patches have no kind of defect, and are no slice"
    told = found["defect_type", "scratch"].as_dict()
    assert told["recall"]["value"] == pytest.approx(55 / 60)
    assert told["precision"] == told["false_alarms_per_1000"] == {"value": None, "bound": None}
