"""Groups and photographs on both sides of a split."""

from __future__ import annotations

import pandas as pd

from steel_training.leakage.probe import Probe

_MAX_NAMED = 10


def shared_groups(profile: pd.DataFrame) -> Probe:
    """Looks for groups, and for photographs, in two parts. A patch that names neither is an alarm: nobody can tell.

    False alarms: none; the ids say it. Detection: all that share an id. What two ids hide, `same_surface` looks for.
    """
    straddling: list[str] = []
    for column in ("group", "source_id"):
        named = profile[profile[column].notna()]
        parts = named.groupby(column)["part"].nunique()
        straddling += [str(name) for name in parts[parts > 1].index]
    unnamed = profile["patch_id"][profile["source_id"].isna()].astype("string").tolist()
    found = len(straddling) + len(unnamed)
    if not found:
        return Probe("leak.group", True, 0, 0, "No coil, tile or photograph stands in two parts.")
    names = ", ".join(straddling[:_MAX_NAMED]) or "rows without source_id"
    return Probe(
        "leak.group",
        False,
        found,
        0,
        f"{len(straddling)} groups or photographs stand in two parts and {len(unnamed)} patches name no photograph: {names}. "
        "Give every patch its source_id (and group_id), and drop the split column or cut it by group.",
        {"groups": straddling[:_MAX_NAMED], "unnamed": unnamed[:_MAX_NAMED]},
    )
