"""Adversarial validation: whether train, validation and test look as if they were drawn from one mill."""

from __future__ import annotations

import pandas as pd

from steel_training.leakage.pixel_property import BRIGHTNESS, SIGNATURE, rank_properties
from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

CODE, LIMIT = "leak.parts_differ", 0.75


def splits_differ(profile: pd.DataFrame) -> Probe:
    """Tries to tell the training part from validation and from test by what the pixels are like; only warns.

    An honest split of few coils differs somewhat. What is far off says that figures on one part do not hold on another.
    """
    names = [*BRIGHTNESS, *SIGNATURE]
    told = {}
    for part in ("val", "test"):
        rows = profile[profile["part"].isin(("train", part))]
        held_out = (rows["part"] == part).to_numpy(int)
        try:
            told[part] = separability(rows[names], held_out, rows["group"].to_numpy(str))
        except TooFewGroups as error:
            return Probe.unjudged(CODE, f"train against {part}: {error}")
    worst = max(told, key=lambda part: told[part].bound)
    found = told[worst].bound >= LIMIT
    message = f"Train and {worst} can be told apart with an AUC of {told[worst].auc:.3f}, at least {told[worst].bound:.3f} (limit {LIMIT})"
    if not found:
        return Probe(CODE, True, told[worst].bound, LIMIT, message + ".", decisive=False)
    rows = profile[profile["part"].isin(("train", worst))]
    moved = rank_properties(rows.assign(held_out=(rows["part"] == worst).astype(int)), names, label="held_out")
    advice = f": '{next(iter(moved))}' moved most. Figures on one of them may not hold on the other."
    return Probe(
        CODE, False, told[worst].bound, LIMIT, message + advice, {"properties": moved, "part": worst}, decisive=False
    )
