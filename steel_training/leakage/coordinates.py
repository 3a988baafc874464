"""Whether where a patch was cut from its photograph puts one piece of steel into two parts, or tells the label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

CODE, LIMIT = "leak.coordinates", 0.9
_NEEDED = ("source_id", "x", "y", "width", "height")
# Side of the squares that JPEG packs: where a cut lies among them can be seen in the pixels.
GRID = 8
_MAX_NAMED = 10


def coordinates(profile: pd.DataFrame) -> Probe:
    """Reads the places that patches were cut from, `x` and `y`.

    Cuts of one photograph that overlap in two parts block, whatever is left of that in the pixels. So does a class that was
    cut on another grid, such as defects cut around their middle: a network can see the grid of a JPEG photograph. A place in
    the photograph that tells the label only warns: defects may honestly lie along the edge.
    """
    if not set(_NEEDED) <= set(profile):
        return Probe(CODE, True, 0, 0, "The manifest does not say where patches were cut from.")
    profile = profile.reset_index(drop=True)
    numbers = profile[["x", "y", "width", "height"]].apply(pd.to_numeric, errors="coerce").astype("float64")
    known = profile[["source_id"]].join(numbers)[numbers.notna().all(axis=1) & profile["source_id"].notna()]
    pairs = list(_overlapping(known, profile["part"]))
    if pairs:
        rows = [_row(profile, *pair) for pair in pairs[:_MAX_NAMED]]
        named = ", ".join(f"{row['first']} and {row['second']}" for row in rows[:3])
        message = (
            f"{len(pairs):,} patches overlap with one of another part by their coordinates: {named}. Overlapping cuts of a "
            "photograph belong in one part: give them one group_id, or remove one side."
        )
        return Probe(CODE, False, len(pairs), 0, message, {"pairs": rows})
    labels = pd.to_numeric(profile["label"], errors="coerce")
    rows_told = known.index[labels[known.index].isin([0, 1]) & profile.loc[known.index, "group"].notna()]
    cut = known.loc[rows_told, ["x", "y"]]
    if cut.nunique().max() < 2:  # voc: whole photographs, all at (0, 0)
        return Probe(CODE, True, 0, 0, "All patches were cut from one place of their photographs.")
    label, group = labels[rows_told].to_numpy(int), profile.loc[rows_told, "group"].to_numpy(str)
    phases = (cut % GRID).astype(int).astype("string")
    try:
        grid = separability(phases, label, group)
        place = separability(cut, label, group)
    except TooFewGroups as error:
        return Probe.unjudged(CODE, str(error))
    if grid.bound >= LIMIT:
        message = (
            f"Where patches lie on a grid of {GRID} pixels tells the label with an AUC of {grid.auc:.3f}, at least "
            f"{grid.bound:.3f} (limit {LIMIT}): clean and defective patches were cut in two ways. Cut both on one grid."
        )
        return Probe(CODE, False, grid.bound, LIMIT, message, {"usual place on the grid": _usual(phases, label)})
    found = place.bound >= LIMIT
    message = f"The place in the photograph tells the label with an AUC of {place.auc:.3f}, at least {place.bound:.3f} (limit {LIMIT})"
    advice = ". Defects may lie there honestly; look whether clean patches were left out there." if found else "."
    evidence = {"usual place in the photograph": _usual(cut.astype(int).astype("string"), label)} if found else {}
    return Probe(CODE, not found, place.bound, LIMIT, message + advice, evidence, decisive=not found)


def _overlapping(cuts: pd.DataFrame, part: pd.Series) -> Iterator[tuple[int, int]]:
    """Yields, for every patch that overlaps with one of another part, both their rows. Photographs in one part cost nothing."""
    parts = part[cuts.index].astype("string").fillna("")
    straddling = parts.groupby(cuts["source_id"].astype("string")).transform("nunique") > 1
    for _, rows in cuts[straddling].groupby(cuts["source_id"].astype("string")[straddling]):
        left, top = rows["x"].to_numpy(), rows["y"].to_numpy()
        right, bottom = left + rows["width"].to_numpy(), top + rows["height"].to_numpy()
        side = parts[rows.index].to_numpy(str)
        for at in range(len(rows)):
            meets = (left < right[at]) & (left[at] < right) & (top < bottom[at]) & (top[at] < bottom)
            other = np.flatnonzero(meets & (side != side[at]))
            if len(other):
                yield int(rows.index[at]), int(rows.index[other[0]])


def _row(profile: pd.DataFrame, first: int, second: int) -> dict[str, object]:
    one, other = profile.iloc[first], profile.iloc[second]
    return {
        "first": str(one["patch_id"]),
        "second": str(other["patch_id"]),
        "parts": [str(one["part"]), str(other["part"])],
        "groups": [str(one["group"]), str(other["group"])],
        "shift": [int(one["y"] - other["y"]), int(one["x"] - other["x"])],  # where the first lies on the second
    }


def _usual(phases: pd.DataFrame, labels: np.ndarray) -> dict[str, str]:
    places = phases["x"] + ", " + phases["y"]
    return {f"label {label}": str(places[labels == label].mode().iloc[0]) for label in (0, 1)}
