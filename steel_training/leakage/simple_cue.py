"""Tests whether simple pixel properties predict the label better than the baseline CNN: a possible shortcut."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from steel_training.evaluation.comparison import auc_difference
from steel_training.leakage.pixel_property import BRIGHTNESS, SIGNATURE, rank_properties
from steel_training.leakage.probe import Probe

CODE = "leak.simple_cue"
AHEAD = 0.0
_CONFIDENCE, _RESAMPLES, _SEED = 0.9, 400, 0


def simple_cue(profile: pd.DataFrame, scores: np.ndarray) -> Probe:
    """Compare trees on brightness, sharpness, noise and the like with the CNN, both trained on train and judged on validation.

    Only warns: brightness alone predicts obvious defects, and a small CNN may be the weaker learner. It warns if the whole
    90 % interval of the AUC difference, paired by group, favours the properties.

    Args:
        profile: one row per patch, with `part`, `group`, `label` and `Measures`.
        scores: of the baseline CNN on validation, float (n,), in the order of the profile.
    """
    names = [*BRIGHTNESS, *SIGNATURE]
    values = profile[names].astype("float64").to_numpy()
    labels, split = profile["label"].to_numpy(int), profile["part"].to_numpy(str)
    train, val = split == "train", split == "val"
    known = np.isfinite(values[train]).any(axis=0)  # the trees fail on a column without values
    if not known.any():
        return Probe.unjudged(CODE, "no property of the pixels could be measured")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a property that is constant
        trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, random_state=_SEED)
        predicted = trees.fit(values[train][:, known], labels[train]).predict_proba(values[val][:, known])[:, 1]
    groups = profile["group"].to_numpy(str)[val]
    found = auc_difference(
        labels[val], groups, predicted, scores, confidence=_CONFIDENCE, resamples=_RESAMPLES, seed=_SEED
    )
    message = (
        f"Brightness, sharpness, noise and the like predict the labels of validation with an AUC of {found.ours:.3f}, the baseline CNN with "
        f"{found.theirs:.3f}: {found.value:+.3f}, {_CONFIDENCE:.0%} interval {found.low:+.3f} to {found.high:+.3f}"
    )
    if not found.low > AHEAD:
        return Probe(CODE, True, found.low, AHEAD, message + ".", decisive=False)
    most = rank_properties(profile, names)
    advice = f". Most of all '{next(iter(most))}' does: check whether that is the defect, or how it was acquired."
    return Probe(CODE, False, found.low, AHEAD, message + advice, {"properties": most}, decisive=False)
