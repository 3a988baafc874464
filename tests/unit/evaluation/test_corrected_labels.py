"""A model by two sets of labels: the same scores at the same threshold, and what changed counted by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from steel_training.evaluation.corrected_labels import CorrectedLabels, judge_by_both
from steel_training.evaluation.metrics import Counts

#                   found, found, missed, alarm, alarm, clean, clean
SCORES = np.array([0.9, 0.8, 0.2, 0.7, 0.6, 0.1, 0.3])
BEFORE = np.array([1, 1, 1, 0, 0, 0, 0])
AFTER = np.array([1, 1, 0, 1, 0, 0, 0])  # the miss was no defect, and one alarm was right


def test_the_same_scores_are_counted_by_both() -> None:
    found = judge_by_both(BEFORE, AFTER, SCORES, 0.5)
    assert (found.to_defective, found.to_clean) == (1, 1)
    assert found.before is not None
    assert found.after is not None
    assert (found.before.counts, found.after.counts) == (Counts(2, 1, 2, 2), Counts(3, 0, 1, 3))
    assert found.before.metrics == pytest.approx({"recall": 2 / 3, "f2": 10 / 16, "precision": 0.5, "auc": 9 / 12})
    assert found.after.metrics == pytest.approx({"recall": 1.0, "f2": 15 / 16, "precision": 0.75, "auc": 1.0})
    assert (found.before.missed, found.after.false_alarms) == ("1 of 3", "1 of 4")
    assert (
        "corrected 2 labels of the test split: 1 from clean to defective, 1 from defective to clean" in found.sentence
    )


def test_what_is_undefined_survives_json() -> None:
    found = judge_by_both(np.zeros(7, int), AFTER, SCORES, 0.5)
    again = CorrectedLabels.from_dict(json.loads(json.dumps(found.as_dict(), allow_nan=False)))
    assert again.before is not None
    assert np.isnan(again.before.metrics["recall"])
    assert np.isnan(again.before.metrics["auc"])
    assert again.after == found.after
    unknown = CorrectedLabels(problem="it is lost.")
    assert CorrectedLabels.from_dict(unknown.as_dict()) == unknown
    assert "it is lost. The verdict does not depend on it." in unknown.sentence
