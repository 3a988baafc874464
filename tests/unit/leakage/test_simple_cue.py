"""A pixel property that predicts the label better than the CNN is named; others are not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from steel_training.leakage.pixel_property import BRIGHTNESS, SIGNATURE
from steel_training.leakage.simple_cue import simple_cue

RANDOM = np.random.default_rng(7)


def profile(patches: int = 1200) -> pd.DataFrame:
    row = np.arange(patches)
    labels = RANDOM.integers(0, 2, patches)
    columns = {name: RANDOM.normal(size=patches) for name in (*BRIGHTNESS, *SIGNATURE)}
    part = np.array(["train", "train", "val", "test"])[row // 10 % 4]
    return pd.DataFrame({"label": labels, "group": [f"g{n // 10}" for n in row], "part": part, **columns})


def scores(table: pd.DataFrame, noise: float) -> np.ndarray:
    labels = table.loc[table["part"] == "val", "label"].to_numpy()
    return labels + noise * RANDOM.standard_normal(len(labels))


def test_property_better_than_the_cnn_only_warns() -> None:
    table = profile()
    table["noise"] += 3.0 * table["label"]
    probe = simple_cue(table, scores(table, 1.5))
    assert (probe.passed, probe.blocks) == (False, False)
    assert next(iter(probe.evidence["properties"])) == "noise"
    assert "'noise'" in probe.message


def test_cnn_at_least_as_good_raises_no_warning() -> None:
    table = profile()
    assert simple_cue(table, scores(table, 0.5)).passed
    table["noise"] += 1.0 * table["label"]
    assert simple_cue(table, scores(table, 0.5)).passed


def test_properties_without_values_are_no_cue() -> None:
    table = profile().assign(**dict.fromkeys(SIGNATURE, np.nan))
    assert simple_cue(table, scores(table, 0.5)).passed
    nothing = table.assign(**dict.fromkeys(BRIGHTNESS, np.nan))
    assert not simple_cue(nothing, scores(table, 0.5)).judged
