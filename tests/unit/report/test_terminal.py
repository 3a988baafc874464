"""Terminal summary: a metric is ticked when the value that the gate judges meets its target."""

from __future__ import annotations

import pytest

from steel_training.report.terminal import summary
from steel_training.verdict import Verdict


@pytest.mark.parametrize(("evidence", "mark", "bound"), [("point", "✓", False), ("bound", "✗", True)])
def test_metric_is_ticked_by_the_judged_evidence(evidence: str, mark: str, bound: bool) -> None:
    metrics = {"recall": {"value": 0.96, "bound": 0.93}}
    text = summary(Verdict.REJECTED, [], metrics, {"recall": 0.95}, "r.html", None, evidence=evidence)
    assert f"{mark} recall     0.9600" in text
    assert ("bound 0.9300" in text) == bound


def test_undefined_metric_is_never_ticked() -> None:
    for evidence in ("point", "bound"):
        text = summary(
            Verdict.REJECTED, [], {"auc": {"value": None, "bound": None}}, {"auc": 0.9}, "r", None, evidence=evidence
        )
        assert "✗ auc        undefined" in text
