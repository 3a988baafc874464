"""What a report is made from: the results of a run's stages, and the files they left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from steel_training.report.blocks import Picture, SideBySide
from steel_training.runs.run import StageResult
from steel_training.verdict import Reason, Verdict


@dataclass(frozen=True)
class Mistake:
    """A patch that was judged wrongly: `missed` or `false_alarm`."""

    kind: str
    picture: Picture


@dataclass(frozen=True)
class RunRecord:
    """A run as the report sees it; whatever its stages did not leave is None or empty.

    Attributes:
        run_id: of the run.
        verdict: None while there is none.
        reasons: for it.
        version: that was published.
        results: of the finished stages, in order.
        curves: of `evaluate`.
        scores: of `evaluate`, one row a patch: part, label, score.
        profile: one row a patch, with the part.
        mistakes: worst first.
        evidence: of validation and baseline check: pairs of patches, each with the code of its probe.
        reproduce: the command that does the run again.
    """

    run_id: str
    verdict: Verdict | None
    reasons: Sequence[Reason] = ()
    version: str | None = None
    results: Mapping[str, StageResult] = field(default_factory=dict)
    curves: Mapping[str, Any] | None = None
    scores: pd.DataFrame | None = None
    profile: pd.DataFrame | None = None
    mistakes: Sequence[Mistake] = ()
    evidence: Sequence[tuple[str, SideBySide]] = ()
    reproduce: str | None = None

    def outputs(self, stage: str) -> Mapping[str, Any]:
        """Returns what a stage left; empty where it has not finished."""
        return self.results[stage].outputs if stage in self.results else {}
