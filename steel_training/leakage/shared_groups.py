"""Groups and source images that straddle splits."""

from __future__ import annotations

import pandas as pd

from steel_training.leakage.probe import Probe

_MAX_NAMED = 10


def shared_groups(profile: pd.DataFrame) -> Probe:
    """Find groups and source images in several splits. Patches without a source_id are an alarm, since they cannot be checked.

    False alarms: none, by the ids. Detection: all patches that share an id. `near_duplicates.same_surface` covers the same steel
    under different ids.
    """
    straddling: list[str] = []
    for column in ("group", "source_id"):
        named = profile[profile[column].notna()]
        splits = named.groupby(column)["part"].nunique()
        straddling += [str(name) for name in splits[splits > 1].index]
    unnamed = profile["patch_id"][profile["source_id"].isna()].astype("string").tolist()
    found = len(straddling) + len(unnamed)
    if not found:
        return Probe("leak.group", True, 0, 0, "No coil, tile or source image is in two splits.")
    names = ", ".join(straddling[:_MAX_NAMED]) or "rows without source_id"
    return Probe(
        "leak.group",
        False,
        found,
        0,
        f"{len(straddling)} groups or source images are in two splits and {len(unnamed)} patches have no source_id: {names}. "
        "Give every patch its source_id (and group_id), and drop the split column or split by group.",
        {"groups": straddling[:_MAX_NAMED], "unnamed": unnamed[:_MAX_NAMED]},
    )
