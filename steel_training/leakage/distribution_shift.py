"""Adversarial validation: tests whether train, validation and test come from the same distribution."""

from __future__ import annotations

import pandas as pd

from steel_training.leakage.pixel_property import BRIGHTNESS, SIGNATURE, rank_properties
from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

CODE, LIMIT = "leak.parts_differ", 0.75


def splits_differ(profile: pd.DataFrame) -> Probe:
    """Try to separate the training split from validation and from test by pixel properties; only warns.

    Sound splits of few coils differ somewhat. A large difference means that metrics on one split do not hold on another.
    """
    names = [*BRIGHTNESS, *SIGNATURE]
    results = {}
    for split in ("val", "test"):
        rows = profile[profile["part"].isin(("train", split))]
        held_out = (rows["part"] == split).to_numpy(int)
        try:
            results[split] = separability(rows[names], held_out, rows["group"].to_numpy(str))
        except TooFewGroups as error:
            return Probe.unjudged(CODE, f"train and {split}: {error}")
    worst = max(results, key=lambda split: results[split].bound)
    found = results[worst].bound >= LIMIT
    message = f"Train and {worst} can be separated with an AUC of {results[worst].auc:.3f}, at least {results[worst].bound:.3f} (limit {LIMIT})"
    if not found:
        return Probe(CODE, True, results[worst].bound, LIMIT, message + ".", decisive=False)
    rows = profile[profile["part"].isin(("train", worst))]
    shifted = rank_properties(rows.assign(held_out=(rows["part"] == worst).astype(int)), names, label="held_out")
    advice = f": '{next(iter(shifted))}' shifted most. Metrics on one of them may not hold on the other."
    return Probe(
        CODE,
        False,
        results[worst].bound,
        LIMIT,
        message + advice,
        {"properties": shifted, "part": worst},
        decisive=False,
    )
