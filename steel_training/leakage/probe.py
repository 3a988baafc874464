"""What a probe answers: a small verdict that blocks or warns, with the number, the limit and the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steel_training.verdict import Reason

CORRECTED_COPY = " A corrected copy: "
"""Stands between what a reason says and the command that corrects it."""


@dataclass(frozen=True)
class Probe:
    """What one probe found.

    Attributes:
        code: `leak.…` or `collapse.…`, stable.
        passed: whether nothing was found.
        statistic: the number that was judged.
        threshold: what it was held to.
        message: for a person: number, limit, what to do.
        evidence: patch ids and figures that show it.
        decisive: an alarm blocks the run. What is not decisive warns.
        judged: False where there was too little to judge.
        fix: a command that corrects what was found; empty where none can.
        allowed: an alarm that a person let pass, by name (`overriding`).
    """

    code: str
    passed: bool
    statistic: float
    threshold: float
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    decisive: bool = True
    judged: bool = True
    fix: str = ""
    allowed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {
            "code": self.code,
            "passed": self.passed,
            "statistic": self.statistic,
            "threshold": self.threshold,
            "message": self.message,
            "evidence": dict(self.evidence),
            "decisive": self.decisive,
            "judged": self.judged,
            "fix": self.fix,
            "allowed": self.allowed,
        }

    @classmethod
    def unjudged(cls, code: str, why: str) -> Probe:
        """A warning that a probe had too little to judge: not an alarm, and not a clean bill either."""
        return cls(code, False, 0, 0, f"Not judged: {why}.", decisive=False, judged=False)

    @property
    def blocks(self) -> bool:
        """Whether the run must stop."""
        return self.decisive and not self.passed and not self.allowed

    @property
    def reason(self) -> Reason:
        """The probe as a reason for blocking, with the command that corrects it."""
        return Reason(self.code, f"{self.message}{CORRECTED_COPY}{self.fix}" if self.fix else self.message)
