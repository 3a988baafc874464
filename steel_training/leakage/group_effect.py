"""Two checks of the method: shuffled labels must not be predictable, and a random split must not inflate the AUC much."""

from __future__ import annotations

import numpy as np
import pandas as pd

from steel_training.leakage.pixel_property import BRIGHTNESS, SIGNATURE
from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import Separability, TooFewGroups, separability

SHUFFLED, EFFECT = "leak.shuffled_labels", "leak.group_effect"
CHANCE, MAX_GAIN = 0.7, 0.05
_SHUFFLES = 5


def shuffled_labels(profile: pd.DataFrame, *, kept_together: str = "group") -> Probe:
    """Give every group the labels of another one. If they can still be predicted, it is not from the steel.

    Judged by the mean over several shuffles: if groups have one label each, the AUC of a single shuffle may be far from 0.5.

    Args:
        profile: one row per patch, with `label`, `group` and what was measured.
        kept_together: the column whose values a fold must not divide. Anything finer than `group` is the fault that this probe is there for.
    """
    labels, groups = profile["label"].to_numpy(int), profile["group"].to_numpy(str)
    folded = profile[kept_together].to_numpy(str)
    areas = []
    for seed in range(_SHUFFLES):
        try:
            areas.append(_separability(profile, _shuffled(labels, groups, seed), folded).auc)
        except TooFewGroups as error:
            return Probe.unjudged(SHUFFLED, str(error))
    mean_auc = float(np.mean(areas))
    found = mean_auc >= CHANCE
    message = f"Labels shuffled by group are predicted with a mean AUC of {mean_auc:.3f} over {_SHUFFLES} shuffles (limit {CHANCE})"
    advice = ": the measurements of this dataset reflect something other than the steel. Check that group_id identifies what patches have in common." if found else "."  # fmt: skip
    return Probe(SHUFFLED, not found, mean_auc, CHANCE, message + advice)


def group_effect(profile: pd.DataFrame) -> Probe:
    """Compare random folds with folds of whole groups; only warns, since it describes the dataset, not a leak."""
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
    message = f"With a random split the label is predicted with an AUC of {at_random.auc:.3f}, with a split by group {by_group.auc:.3f} (limit: {MAX_GAIN} apart)"
    advice = ": patches of one group are similar, so only a split by group is valid here. Keep group_id as coarse as it is." if found else "."  # fmt: skip
    return Probe(EFFECT, not found, gain, MAX_GAIN, message + advice, decisive=False)


def _separability(profile: pd.DataFrame, labels: np.ndarray, groups: np.ndarray) -> Separability:
    return separability(profile[[*BRIGHTNESS, *SIGNATURE]], labels, groups)


def _shuffled(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return labels int (n,), for each group sampled from those of another group."""
    random = np.random.default_rng(seed)
    names, number = np.unique(groups, return_inverse=True)
    rows = [np.flatnonzero(number == each) for each in range(len(names))]
    shuffled = labels.copy()
    for own, other in zip(rows, random.permutation(len(rows)), strict=True):
        shuffled[own] = random.choice(labels[rows[other]], size=len(own))
    return shuffled
