"""The result of a probe: passed, warning or blocking alarm, with the statistic, the limit and the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from steel_training.verdict import Reason

CORRECTED_COPY = " A corrected copy: "
"""Separates the message of a reason from the command that corrects it."""


class StoredProbe(TypedDict):
    """A probe as JSON holds it; earlier versions of the program did not write what is not required."""

    code: str
    passed: bool
    statistic: float
    threshold: float
    message: str
    evidence: NotRequired[Mapping[str, Any]]
    decisive: NotRequired[bool]
    judged: NotRequired[bool]
    fix: NotRequired[str]
    allowed: NotRequired[bool]


@dataclass(frozen=True)
class Probe:
    """Result of one probe.

    Attributes:
        code: `leak.…` or `collapse.…`, stable.
        passed: whether nothing was found.
        statistic: the value that was judged.
        threshold: its limit.
        message: for the user: value, limit, what to do.
        evidence: patch ids and numbers that show it.
        decisive: whether an alarm blocks the run; if not, it warns.
        judged: False if there was too little data to judge.
        fix: a command that corrects the problem; empty if there is none.
        allowed: whether the user allowed the alarm by its code (`overriding`).
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

    def as_dict(self) -> StoredProbe:
        """Return the fields as JSON values."""
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
        """Return a warning that there was too little data to judge: neither an alarm nor a pass."""
        return cls(code, False, 0, 0, f"Not judged: {why}.", decisive=False, judged=False)

    @property
    def blocks(self) -> bool:
        """Whether the alarm stops the run."""
        return self.decisive and not self.passed and not self.allowed

    @property
    def reason(self) -> Reason:
        """The probe as a reason for blocking, with the command that corrects it."""
        return Reason(self.code, f"{self.message}{CORRECTED_COPY}{self.fix}" if self.fix else self.message)
