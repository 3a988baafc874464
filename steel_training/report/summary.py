"""The outcome of a run: a summary for the terminal, and the JSON object that `run` prints last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from steel_training.report.terminal import summary
from steel_training.runs.result import REPORT, StageResult
from steel_training.runs.run import Run
from steel_training.storage.json_types import Json
from steel_training.verdict import Reason, Verdict


@dataclass(frozen=True)
class Conclusion:
    """The outcome of a run.

    Attributes:
        verdict: of the run.
        reasons: of the verdict.
        run_id: of the run.
        version: the published one; of an `unchanged` run, that of the verdict it refers to.
        report: address of the report.
        metrics: on the test split, by name; empty where the run ended before `evaluate`.
        targets: of the gate, by name.
        evidence: what is compared with the targets, `point` or `bound`.
        weights: initial weights of the backbone; `None` where nothing was trained.
        advice: what would help a rejected model most, on one line; empty where nothing is known.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    run_id: str
    version: str | None
    report: str
    metrics: Mapping[str, Mapping[str, float | None]]
    targets: Mapping[str, float | None]
    evidence: str
    weights: Mapping[str, str | bool] | None
    advice: str = ""

    def as_text(self) -> str:
        """Return the summary for the terminal."""
        return summary(
            self.verdict,
            self.reasons,
            self.metrics,
            self.targets,
            self.report,
            self.version,
            self.weights,
            self.evidence,
            self.advice,
        )

    def as_dict(self) -> dict[str, Json]:
        """Return the JSON object that `run` ends with."""
        return {
            "verdict": str(self.verdict),
            "reasons": [reason.as_dict() for reason in self.reasons],
            "version": self.version,
            "run_id": self.run_id,
            "report": self.report,
            "metrics": dict(self.metrics),
        }


def conclude(run: Run, last: StageResult) -> Conclusion:
    """Collect the outcome of a run from its stages.

    Args:
        run: the run.
        last: result of its last stage, which blocked, refused, published or rejected, or found nothing to do.
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
        advice=last.outputs.get("advice", ""),  # runs before 2026-11-29 have none
    )
