"""The result of a validation: one outcome per expectation, and the reasons that block the run."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from steel_training.storage.json_types import Json
from steel_training.validation.rules import CRITICAL, Severity
from steel_training.verdict import Reason


@dataclass(frozen=True)
class ExpectationOutcome:
    """One expectation, judged or not.

    Attributes:
        code: stable reason code.
        title: the expectation as a sentence.
        severity: critical or warning.
        success: `None` where it could not be judged; the message says why.
        observed: the finding.
        expected: the target.
        unexpected_count: rows that do not meet it.
        examples: ids of the first ten such patches.
        message: for a person; empty where the expectation is met.
    """

    code: str
    title: str
    severity: Severity
    success: bool | None
    observed: str
    expected: str
    unexpected_count: int
    examples: tuple[str, ...]
    message: str

    @property
    def blocks(self) -> bool:
        """A critical expectation is not met."""
        return self.success is False and self.severity == CRITICAL


@dataclass(frozen=True)
class ValidationOutcome:
    """All outcomes, and where the Data Docs are, relative to the folder of the stage."""

    expectations: tuple[ExpectationOutcome, ...]
    data_docs: str

    @property
    def success(self) -> bool:
        """No critical expectation failed."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the run is blocked."""
        return tuple(Reason(outcome.code, outcome.message) for outcome in self.expectations if outcome.blocks)

    @property
    def warnings(self) -> tuple[Reason, ...]:
        """Expectations that are not met and do not block."""
        return tuple(
            Reason(outcome.code, outcome.message)
            for outcome in self.expectations
            if outcome.success is False and not outcome.blocks
        )

    def as_dict(self) -> dict[str, Json]:
        """Return the outputs of the stage, as JSON values."""
        return {
            "success": self.success,
            "expectations": [{**asdict(outcome), "examples": list(outcome.examples)} for outcome in self.expectations],
            "data_docs": self.data_docs,
        }
