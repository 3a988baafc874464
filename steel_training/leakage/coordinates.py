"""Tests patch coordinates: overlap of patches in different splits, and positions that predict the label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from steel_training.leakage.patch_pairs import NamedPair
from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

CODE, LIMIT = "leak.coordinates", 0.9
_NEEDED = ("source_id", "x", "y", "width", "height")
# Block size of JPEG: the offset of a patch within a block is visible in its pixels.
GRID = 8
_MAX_NAMED = 10


def coordinates(profile: pd.DataFrame) -> Probe:
    """Judge the coordinates that patches were cut at, `x` and `y`.

    Overlapping patches of one source image in different splits block, whatever is left of the overlap in the pixels. So does a
    class that was cut on another grid, such as defects centred in their patches: a network can see the JPEG grid. A position in
    the source image that predicts the label only warns, since defects may really occur along the edge.
    """
    if not set(_NEEDED) <= set(profile):
        return Probe(CODE, True, 0, 0, "The manifest has no patch coordinates.")
    profile = profile.reset_index(drop=True)
    numbers = profile[["x", "y", "width", "height"]].apply(pd.to_numeric, errors="coerce").astype("float64")
    known = profile[["source_id"]].join(numbers)[numbers.notna().all(axis=1) & profile["source_id"].notna()]
    pairs = list(_overlapping(known, profile["part"]))
    if pairs:
        rows = [_row(profile, *pair) for pair in pairs[:_MAX_NAMED]]
        named = ", ".join(f"{row['first']} and {row['second']}" for row in rows[:3])
        message = (
            f"{len(pairs):,} patches overlap with one of another split by their coordinates: {named}. Overlapping patches of a "
            "source image belong in one split: give them one group_id, or remove one side."
        )
        return Probe(CODE, False, len(pairs), 0, message, {"pairs": rows})
    labels = pd.to_numeric(profile["label"], errors="coerce")
    usable = known.index[labels[known.index].isin([0, 1]) & profile.loc[known.index, "group"].notna()]
    cut = known.loc[usable, ["x", "y"]]
    if cut.nunique().max() < 2:  # voc: whole images, all at (0, 0)
        return Probe(CODE, True, 0, 0, "All patches were cut at the same position of their source images.")
    label, group = labels[usable].to_numpy(int), profile.loc[usable, "group"].to_numpy(str)
    phases = (cut % GRID).astype(int).astype("string")
    try:
        grid = separability(phases, label, group)
        place = separability(cut, label, group)
    except TooFewGroups as error:
        return Probe.unjudged(CODE, str(error))
    if grid.bound >= LIMIT:
        message = (
            f"The position on a grid of {GRID} pixels predicts the label with an AUC of {grid.auc:.3f}, at least "
            f"{grid.bound:.3f} (limit {LIMIT}): clean and defective patches were cut on different grids. Cut both on one grid."
        )
        return Probe(CODE, False, grid.bound, LIMIT, message, {"usual place on the grid": _usual(phases, label)})
    found = place.bound >= LIMIT
    message = f"The position in the source image predicts the label with an AUC of {place.auc:.3f}, at least {place.bound:.3f} (limit {LIMIT})"
    advice = (
        ". Defects may really be concentrated there; check whether clean patches from there were left out."
        if found
        else "."
    )
    evidence = {"usual place in the photograph": _usual(cut.astype(int).astype("string"), label)} if found else {}
    return Probe(CODE, not found, place.bound, LIMIT, message + advice, evidence, decisive=not found)


def _overlapping(cuts: pd.DataFrame, split: pd.Series) -> Iterator[tuple[int, int]]:
    """Yield, for every patch that overlaps with one of another split, both rows. Only source images in several splits are searched."""
    splits = split[cuts.index].astype("string").fillna("")
    straddling = splits.groupby(cuts["source_id"].astype("string")).transform("nunique") > 1
    for _, rows in cuts[straddling].groupby(cuts["source_id"].astype("string")[straddling]):
        left, top = rows["x"].to_numpy(), rows["y"].to_numpy()
        right, bottom = left + rows["width"].to_numpy(), top + rows["height"].to_numpy()
        own = splits[rows.index].to_numpy(str)
        for at in range(len(rows)):
            overlaps = (left < right[at]) & (left[at] < right) & (top < bottom[at]) & (top[at] < bottom)
            other = np.flatnonzero(overlaps & (own != own[at]))
            if len(other):
                yield int(rows.index[at]), int(rows.index[other[0]])


def _row(profile: pd.DataFrame, first: int, second: int) -> NamedPair:
    one, other = profile.iloc[first], profile.iloc[second]
    return {
        "first": str(one["patch_id"]),
        "second": str(other["patch_id"]),
        "parts": [str(one["part"]), str(other["part"])],
        "groups": [str(one["group"]), str(other["group"])],
        "shift": [
            int(one["y"] - other["y"]),
            int(one["x"] - other["x"]),
        ],  # position of the first relative to the second
    }


def _usual(phases: pd.DataFrame, labels: np.ndarray) -> dict[str, str]:
    places = phases["x"] + ", " + phases["y"]
    return {f"label {label}": str(places[labels == label].mode().iloc[0]) for label in (0, 1)}
