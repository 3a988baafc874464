"""What a run can end with, and why: the words that the command line, the DAG, the report and the registry share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a run ended."""

    PUBLISHED = "published"
    REJECTED = "rejected"
    BLOCKED = "blocked"
    UNCHANGED = "unchanged"


EXIT_REJECTED = 3
EXIT_BLOCKED_BY_DATA = 4
EXIT_BLOCKED_BY_BASELINE = 5

CHAMPION_MOVED = "release.champion_moved"
"""The reason of a version that was registered and not promoted, because another run had moved the champion."""


@dataclass(frozen=True)
class Reason:
    """One reason for a verdict: a stable code, and a message with the number, the target and what to do next."""

    code: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Returns the reason as it stands in result files and on the last line of `run`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Reason:
        """Reads a reason back."""
        return cls(code=str(values["code"]), message=str(values["message"]))
