"""The same pixels twice: on both sides of a split, or under both labels."""

from __future__ import annotations

import pandas as pd

from steel_training.data.measurements import BLANK
from steel_training.leakage.probe import Probe

_MAX_NAMED = 10


def identical_pixels(profile: pd.DataFrame) -> Probe:
    """Looks for the same pixels in two parts, whatever the file format.

    False alarms: none, since blank patches do not count. Detection: every copy that no pixel of was changed.
    """
    doubled = _twins_that_differ(profile, "part")
    ids = [str(name) for name in doubled["patch_id"].head(_MAX_NAMED)]
    if not ids:
        return Probe("leak.duplicate", True, 0, 0, "No image stands in two parts.")
    return Probe(
        "leak.duplicate",
        False,
        len(doubled),
        0,
        f"{len(doubled)} patches have an identical twin in another part: {', '.join(ids)}. Remove the copies, or give twins the same group_id.",
        {"pairs": _side_by_side(doubled, "part")},
    )


def contradicting_labels(profile: pd.DataFrame) -> Probe:
    """Looks for the same pixels under both labels: whichever is right, the network is taught both.

    False alarms: none, since blank patches do not count. Detection: every such pair.
    """
    straddling = _twins_that_differ(profile, "label")
    ids = [str(name) for name in straddling["patch_id"].head(_MAX_NAMED)]
    if not ids:
        return Probe("leak.contradiction", True, 0, 0, "No image bears both labels.")
    return Probe(
        "leak.contradiction",
        False,
        len(straddling),
        0,
        f"{len(straddling)} patches have an identical twin of the other label: {', '.join(ids)}. Decide which label is right, and keep one of each.",
        {"pairs": _side_by_side(straddling, "label")},
    )


def _informative(profile: pd.DataFrame) -> pd.DataFrame:
    known = profile[profile["pixel_hash"].notna() & (profile["pixel_hash"] != "")]
    return known[~(known["contrast"] < BLANK)]


def _twins_that_differ(profile: pd.DataFrame, column: str) -> pd.DataFrame:
    """Returns the patches whose pixels stand elsewhere too, with another value of the column; twins side by side."""
    known = _informative(profile)
    values = known.groupby("pixel_hash")[column].nunique()
    return known[known["pixel_hash"].isin(values[values > 1].index)].sort_values("pixel_hash")


def _side_by_side(twins: pd.DataFrame, column: str) -> list[dict[str, object]]:
    """The first pairs of twins that differ in the column."""
    rows: list[dict[str, object]] = []
    for _, alike in twins.groupby("pixel_hash", sort=False):
        one, other = (row for _, row in alike.drop_duplicates(column).iloc[:2].iterrows())
        rows.append(
            {
                "first": str(one["patch_id"]),
                "second": str(other["patch_id"]),
                "parts": [str(one["part"]), str(other["part"])],
                "groups": [str(one["group"]), str(other["group"])],
            }
        )
        if len(rows) == _MAX_NAMED:
            break
    return rows
