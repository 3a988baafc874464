"""What a probe answers: a small verdict that blocks or warns, with the number, the limit and the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steel_training.verdict import Reason


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
    """

    code: str
    passed: bool
    statistic: float
    threshold: float
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    decisive: bool = True

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
        }

    @classmethod
    def unjudged(cls, code: str, why: str) -> Probe:
        """A warning that a probe had too little to judge: not an alarm, and not a clean bill either."""
        return cls(code, False, 0, 0, f"Not judged: {why}.", decisive=False)

    @property
    def blocks(self) -> bool:
        """Whether the run must stop."""
        return self.decisive and not self.passed

    @property
    def reason(self) -> Reason:
        """The probe as a reason for blocking."""
        return Reason(self.code, self.message)
