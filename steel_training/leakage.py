"""Leak probes: each a function of the dataset that answers with a small verdict.

A probe never raises on bad data and never passes for lack of it: what it cannot judge, it fails, and says what it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from steel_training.verdict import Reason

_NAMED = 10


@dataclass(frozen=True)
class Probe:
    """What one probe found.

    Attributes:
        code: `leak.…` or `collapse.…`, stable.
        passed: whether the run may go on.
        statistic: the number that was judged.
        threshold: what it was held to.
        message: for a person: number, limit, what to do.
        evidence: patch ids and figures that show it.
    """

    code: str
    passed: bool
    statistic: float
    threshold: float
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {
            "code": self.code,
            "passed": self.passed,
            "statistic": self.statistic,
            "threshold": self.threshold,
            "message": self.message,
            "evidence": dict(self.evidence),
        }

    @property
    def reason(self) -> Reason:
        """The probe as a reason for blocking."""
        return Reason(self.code, self.message)


def shared_groups(profile: pd.DataFrame) -> Probe:
    """Looks for groups, and for photographs, on both sides of a split."""
    straddling: list[str] = []
    for column in ("group", "source_id"):
        parts = profile.groupby(column, dropna=False)["part"].nunique()
        straddling += [str(name) for name in parts[parts > 1].index]
    unnamed = int(profile["source_id"].isna().sum())
    found = len(straddling) + unnamed
    if not found:
        return Probe("leak.group", True, 0, 0, "No coil, tile or photograph stands in two parts.")
    named = ", ".join(straddling[:_NAMED]) or "rows without source_id"
    return Probe(
        "leak.group",
        False,
        found,
        0,
        f"{len(straddling)} groups or photographs stand in two parts and {unnamed} patches name no photograph: {named}. "
        "Give every patch its source_id (and group_id), and drop the split column or cut it by group.",
        {"groups": straddling[:_NAMED]},
    )


def identical_pixels(profile: pd.DataFrame) -> Probe:
    """Looks for the same pixels in two parts, whatever the file format."""
    known = profile[profile["pixel_hash"].notna() & (profile["pixel_hash"] != "")]
    parts = known.groupby("pixel_hash")["part"].nunique()
    doubled = known[known["pixel_hash"].isin(parts[parts > 1].index)].sort_values("pixel_hash")
    ids = [str(name) for name in doubled["patch_id"].head(_NAMED)]
    if not ids:
        return Probe("leak.duplicate", True, 0, 0, "No image stands in two parts.")
    return Probe(
        "leak.duplicate",
        False,
        len(doubled),
        0,
        f"{len(doubled)} patches have an identical twin in another part: {', '.join(ids)}. Remove the copies, or give twins the same group_id.",
        {"patches": ids},
    )


PROBES = (shared_groups, identical_pixels)
"""Every probe that looks at the profile alone, cheap ones first. `sanity` runs them before it trains anything."""
