"""Two checks on the checks: shuffled labels must teach nothing, and a random split must not flatter much."""

from __future__ import annotations

import numpy as np
import pandas as pd

from steel_training.leakage.pixel_property import BRIGHTNESS, SIGNATURE
from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import Separability, TooFewGroups, separability

SHUFFLED, EFFECT = "leak.shuffled_labels", "leak.group_effect"
CHANCE, MAX_GAIN = 0.7, 0.05
_SHUFFLES = 5


def shuffled_labels(profile: pd.DataFrame) -> Probe:
    """Gives every group the labels of another one. What is still told of them was never told by the steel.

    Judged by the mean over several shuffles: where groups hold one label each, a single one may meet chance far off 0.5.
    """
    labels, groups = profile["label"].to_numpy(int), profile["group"].to_numpy(str)
    areas = []
    for seed in range(_SHUFFLES):
        try:
            areas.append(_separability(profile, _shuffled(labels, groups, seed), groups).auc)
        except TooFewGroups as error:
            return Probe.unjudged(SHUFFLED, str(error))
    told = float(np.mean(areas))
    found = told >= CHANCE
    message = (
        f"Labels shuffled by group are told with a mean AUC of {told:.3f} over {_SHUFFLES} shuffles (limit {CHANCE})"
    )
    advice = ": what was measured of this dataset measures no steel. Check that group_id names what patches have in common." if found else "."  # fmt: skip
    return Probe(SHUFFLED, not found, told, CHANCE, message + advice)


def group_effect(profile: pd.DataFrame) -> Probe:
    """Compares folds drawn at random with folds of whole groups; only warns, since it says what a split is worth."""
    labels, groups = profile["label"].to_numpy(int), profile["group"].to_numpy(str)
    try:
        by_group, at_random = (
            _separability(profile, labels, groups),
            _separability(profile, labels, np.arange(len(labels))),
        )
    except TooFewGroups as error:
        return Probe.unjudged(EFFECT, str(error))
    gain = at_random.auc - by_group.auc
    found = gain > MAX_GAIN
    message = f"Split at random, patches are told with an AUC of {at_random.auc:.3f}; split by group, {by_group.auc:.3f} (limit: {MAX_GAIN} apart)"
    advice = ": patches of one group are alike, and only a split by group is honest here. Keep group_id as coarse as it is." if found else "."  # fmt: skip
    return Probe(EFFECT, not found, gain, MAX_GAIN, message + advice, decisive=False)


def _separability(profile: pd.DataFrame, labels: np.ndarray, groups: np.ndarray) -> Separability:
    return separability(profile[[*BRIGHTNESS, *SIGNATURE]], labels, groups)


def _shuffled(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Returns labels drawn, group by group, from those of another group."""
    random = np.random.default_rng(seed)
    names, number = np.unique(groups, return_inverse=True)
    rows = [np.flatnonzero(number == each) for each in range(len(names))]
    shuffled = labels.copy()
    for own, other in zip(rows, random.permutation(len(rows)), strict=True):
        shuffled[own] = random.choice(labels[rows[other]], size=len(own))
    return shuffled
