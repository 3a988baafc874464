"""Input of the report: the results of a run's stages and the files they wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from steel_training.evaluation.curves import Curves
from steel_training.evaluation.learning_curve import LearningCurve
from steel_training.labels.agreement import Agreement
from steel_training.report.blocks import Picture, SideBySide
from steel_training.runs.result import StageResult
from steel_training.verdict import Reason, Verdict


@dataclass(frozen=True)
class Mistake:
    """A misclassified patch: `missed` or `false_alarm`."""

    kind: str
    picture: Picture


@dataclass(frozen=True)
class RunRecord:
    """What the report knows of a run; None or empty where a stage has not run.

    Attributes:
        run_id: of the run.
        verdict: `None` while there is none.
        reasons: of the verdict.
        version: the published one, if any.
        results: of the finished stages, in order.
        curves: of `evaluate`.
        scores: of `evaluate`, one row per patch: `patch_id`, `part` (the split), `label`, `score`.
        profile: one row per patch, with its split in `part`.
        mistakes: worst first.
        evidence: pairs of patches from validation and baseline check, each with the code of its probe.
        suspects: pictures of the labels that are most likely wrong.
        doubted: ids of all patches whose label is more likely wrong than right; `None` where the labels were not audited.
        undoubted_threshold: the operating threshold that validation gives without the doubted labels; `None` where it has none of
            them, or gives none.
        agreements: of labels, reviewers and model, on patches of this dataset that were answered blind.
        answers_problem: why the answers of reviewers cannot be read; empty where they can.
        reproduce: the command that repeats the run.
    """

    run_id: str
    verdict: Verdict | None
    reasons: Sequence[Reason] = ()
    version: str | None = None
    results: Mapping[str, StageResult] = field(default_factory=dict)
    curves: Curves | None = None
    scores: pd.DataFrame | None = None
    profile: pd.DataFrame | None = None
    mistakes: Sequence[Mistake] = ()
    evidence: Sequence[tuple[str, SideBySide]] = ()
    suspects: Sequence[Picture] = ()
    doubted: frozenset[str] | None = None
    undoubted_threshold: float | None = None
    agreements: Sequence[Agreement] = ()
    answers_problem: str = ""
    reproduce: str | None = None

    def outputs(self, stage: str) -> Mapping[str, Any]:
        """Return the outputs of a stage; empty where it has not finished."""
        return self.results[stage].outputs if stage in self.results else {}

    @property
    def learning_curve(self) -> LearningCurve | None:
        """What more training groups are worth; `None` where it is not known."""
        curve = self.outputs("audit_labels").get("learning_curve")
        return None if curve is None else LearningCurve.from_dict(curve)
