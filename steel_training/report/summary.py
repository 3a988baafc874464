"""How a run ended, brought together for whoever asked for it: a few lines for a person, one JSON object for a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steel_training.report.terminal import summary
from steel_training.runs.run import REPORT, Run, StageResult
from steel_training.verdict import Reason, Verdict


@dataclass(frozen=True)
class Conclusion:
    """The end of a run.

    Attributes:
        verdict: of the run.
        reasons: for it.
        run_id: of the run.
        version: that was published, or that a run with nothing to do stands by.
        report: its address.
        metrics: of the test part, by name; empty where the run ended before.
        targets: of the gate, by name.
        evidence: that is judged, `point` or `bound`.
        weights: what the backbone started from; `None` where nothing was trained.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    run_id: str
    version: str | None
    report: str
    metrics: Mapping[str, Any]
    targets: Mapping[str, float | None]
    evidence: str
    weights: Mapping[str, Any] | None

    def told(self) -> str:
        """Returns a few lines for a person."""
        return summary(
            self.verdict,
            self.reasons,
            self.metrics,
            self.targets,
            self.report,
            self.version,
            self.weights,
            self.evidence,
        )

    def as_dict(self) -> dict[str, Any]:
        """Returns the JSON object that `run` ends with."""
        return {
            "verdict": str(self.verdict),
            "reasons": [reason.as_dict() for reason in self.reasons],
            "version": self.version,
            "run_id": self.run_id,
            "report": self.report,
            "metrics": dict(self.metrics),
        }


def conclude(run: Run, last: StageResult) -> Conclusion:
    """Brings together how a run ended.

    Args:
        run: the run.
        last: the result of its last stage: one that blocked, refused, found nothing to do, published or rejected.
    """
    verdict = last.verdict or Verdict(last.outputs["verdict"])
    evaluated, trained = run.find_result("evaluate"), run.find_result("train_head")
    previous = last.outputs.get("previous") or {}
    return Conclusion(
        verdict=verdict,
        reasons=last.reasons,
        run_id=run.run_id,
        version=previous.get("version") if verdict is Verdict.UNCHANGED else last.outputs.get("version"),
        report=previous.get("report") or run.store.location(run.key(REPORT)),
        metrics=evaluated.outputs["metrics"] if evaluated else previous.get("metrics", {}),
        targets=evaluated.outputs["targets"] if evaluated else {},
        evidence=evaluated.outputs.get("evidence", "point") if evaluated else "point",
        weights=trained.outputs["weights"] if trained else None,
    )
