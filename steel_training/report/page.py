"""Renders a run's results as one self-contained HTML page, verdict first."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from steel_training.metrics import JUDGED
from steel_training.report import plots
from steel_training.run import StageResult
from steel_training.verdict import Reason, Verdict

HEADLINES = {
    Verdict.PUBLISHED: "Published",
    Verdict.REJECTED: "Rejected: this model is not published",
    Verdict.BLOCKED: "Blocked: nothing was trained",
    Verdict.UNCHANGED: "Unchanged: nothing to do",
    None: "Not decided yet",
}


@dataclass(frozen=True)
class Example:
    """One patch of the gallery: PNG bytes, label (0 or 1), score, and `missed` or `false_alarm`."""

    patch_id: str
    png: bytes
    label: int
    score: float
    kind: str

    @property
    def uri(self) -> str:
        """The image as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def render(
    results: Mapping[str, StageResult],
    *,
    run_id: str,
    verdict: Verdict | None,
    reasons: Sequence[Reason],
    curves: Mapping[str, Any] | None,
    scores: pd.DataFrame | None,
    examples: Sequence[Example] | None,
    version: str | None,
) -> str:
    """Renders the report from the stages that have finished; a section appears when its stage has.

    Everything that comes from manifests is escaped.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    outputs = {stage: result.outputs for stage, result in results.items()}
    evaluated = outputs.get("evaluate")
    figures = {}
    if evaluated is not None and curves is not None:
        figures = plots.curves(curves, evaluated)
    if scores is not None and evaluated is not None:
        figures["Scores on the test part"] = plots.score_histogram(scores, evaluated["threshold"]["value"])
    for stage in ("check_baseline", "train_head", "fine_tune"):
        if outputs.get(stage, {}).get("history"):
            figures[f"Training: {stage}"] = plots.history(outputs[stage]["history"])
    return environment.get_template("report.html.j2").render(
        headline=HEADLINES[verdict],
        verdict=verdict,
        run_id=run_id,
        version=version,
        reasons=reasons,
        results=results,
        outputs=outputs,
        evaluated=evaluated,
        judged=JUDGED,
        figures=figures,
        examples=examples or (),
    )
