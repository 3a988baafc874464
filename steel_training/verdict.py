"""What a run can end with, and why: the words that the command line, the DAG, the report and the registry share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

LONGEST_MESSAGE = 4_000
"""Characters of a reason's message; what a dataset calls its patches may be longer than anybody reads."""

# Control characters, separators of lines, and marks that turn the direction of what follows.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return a text on one line, as it was written: what would begin another line, or hide one, is escaped."""
    return _UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


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
NOT_PROMOTED = "release.not_promoted"
"""The reason of a version that was registered by a run that ended before it could promote it."""
OVERTAKEN = (CHAMPION_MOVED, NOT_PROMOTED)
"""Reasons of a published version that has not become champion by its own run."""


OVERRIDABLE = (
    "leak.group",
    "leak.duplicate",
    "leak.contradiction",
    "leak.overlap",
    "leak.rotation",
    "leak.near_duplicate",
    "leak.coordinates",
    "leak.file_metadata",
    "leak.manifest_column",
    "leak.pixel_property",
    "leak.two_cameras",
    "leak.shuffled_labels",
    "leak.too_good",
)
"""Codes of leak probes that block. Whether a model learned anything, and the targets, cannot be overridden."""

ALLOWED = "ALARM, allowed by name: "
"""Prefix of the message of an alarm that a person allowed."""


@dataclass(frozen=True)
class Reason:
    """One reason for a verdict: a stable code, and a message with the number, the target and what to do next.

    The message is one line of at most `LONGEST_MESSAGE` characters, whatever a dataset's names hold.
    """

    code: str
    message: str

    def __post_init__(self) -> None:
        """Escapes and shortens the message."""
        message = printable(self.message)
        if len(message) > LONGEST_MESSAGE:
            message = f"{message[: LONGEST_MESSAGE - 1]}…"
        object.__setattr__(self, "message", message)

    def as_dict(self) -> dict[str, str]:
        """Return the reason as in result files and on the last line of `run`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Reason:
        """Read a reason back."""
        return cls(code=str(values["code"]), message=str(values["message"]))


def refuse_unknown(codes: Iterable[str]) -> None:
    """Check the names in `baseline.allow`.

    Raises:
        ValueError: one of them is not a probe that blocks.
    """
    for code in codes:
        if code not in OVERRIDABLE:
            raise ValueError(
                f"{code!r} cannot be allowed. Only a leak probe that blocks can, by its name: {', '.join(OVERRIDABLE)}"
            )
