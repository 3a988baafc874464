"""Identical images in different splits, or with different labels."""

from __future__ import annotations

import pandas as pd

from steel_training.data.measurements import BLANK
from steel_training.leakage.patch_pairs import NamedPair
from steel_training.leakage.probe import Probe

_MAX_NAMED = 10


def identical_pixels(profile: pd.DataFrame) -> Probe:
    """Find identical pixels in different splits, whatever the file format.

    False alarms: none, since blank patches do not count. Detection: every copy with unchanged pixels.
    """
    copies_found = _copies_that_differ(profile, "part")
    ids = [str(name) for name in copies_found["patch_id"].head(_MAX_NAMED)]
    if not ids:
        return Probe("leak.duplicate", True, 0, 0, "No image is in two splits.")
    return Probe(
        "leak.duplicate",
        False,
        len(copies_found),
        0,
        f"{len(copies_found)} patches have an identical copy in another split: {', '.join(ids)}. Remove the copies, or give them the same group_id.",
        {"pairs": _side_by_side(copies_found, "part")},
    )


def contradicting_labels(profile: pd.DataFrame) -> Probe:
    """Find identical pixels with different labels, of which one must be wrong.

    False alarms: none, since blank patches do not count. Detection: every such pair.
    """
    contradicting = _copies_that_differ(profile, "label")
    ids = [str(name) for name in contradicting["patch_id"].head(_MAX_NAMED)]
    if not ids:
        return Probe("leak.contradiction", True, 0, 0, "No image has both labels.")
    return Probe(
        "leak.contradiction",
        False,
        len(contradicting),
        0,
        f"{len(contradicting)} patches have an identical copy with the other label: {', '.join(ids)}. Decide which label is right, and keep one of each.",
        {"pairs": _side_by_side(contradicting, "label")},
    )


def _informative(profile: pd.DataFrame) -> pd.DataFrame:
    known = profile[profile["pixel_hash"].notna() & (profile["pixel_hash"] != "")]
    return known[~(known["contrast"] < BLANK)]


def _copies_that_differ(profile: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the patches that have an identical copy with another value in the column, sorted by pixel hash."""
    known = _informative(profile)
    values = known.groupby("pixel_hash")[column].nunique()
    return known[known["pixel_hash"].isin(values[values > 1].index)].sort_values("pixel_hash")


def _side_by_side(copies: pd.DataFrame, column: str) -> list[NamedPair]:
    """Return the first pairs of identical patches that differ in the column."""
    rows: list[NamedPair] = []
    for _, alike in copies.groupby("pixel_hash", sort=False):
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
