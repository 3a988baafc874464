"""Whether plain properties of the pixels tell the label better than the baseline CNN does: a shortcut that it may not even need."""

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
    """Holds trees that see brightness, sharpness, noise and the like against the CNN, both trained on train, judged on validation.

    Only warns: defects that are plain to see are told by brightness, and a small CNN may be the worse learner. It is an alarm
    where the whole 90 % interval of the difference, paired by group, lies on the side of the properties.

    Args:
        profile: one row a patch, with `part`, `group`, `label` and `Measures`.
        scores: of the baseline CNN for the validation part, float (n,), in the order of the profile.
    """
    names = [*BRIGHTNESS, *SIGNATURE]
    values = profile[names].astype("float64").to_numpy()
    labels, split = profile["label"].to_numpy(int), profile["part"].to_numpy(str)
    train, val = split == "train", split == "val"
    known = np.isfinite(values[train]).any(axis=0)  # the trees fail on a property that nobody has
    if not known.any():
        return Probe.unjudged(CODE, "no property of the pixels could be measured")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a property that is constant
        trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, random_state=_SEED)
        told = trees.fit(values[train][:, known], labels[train]).predict_proba(values[val][:, known])[:, 1]
    groups = profile["group"].to_numpy(str)[val]
    found = auc_difference(labels[val], groups, told, scores, confidence=_CONFIDENCE, resamples=_RESAMPLES, seed=_SEED)
    message = (
        f"Brightness, sharpness, noise and the like tell validation with an AUC of {found.ours:.3f}, the baseline CNN with "
        f"{found.theirs:.3f}: {found.value:+.3f}, {_CONFIDENCE:.0%} interval {found.low:+.3f} to {found.high:+.3f}"
    )
    if not found.low > AHEAD:
        return Probe(CODE, True, found.low, AHEAD, message + ".", decisive=False)
    most = rank_properties(profile, names)
    advice = f". Most of all '{next(iter(most))}' does: look whether that is the defect, or how it was photographed."
    return Probe(CODE, False, found.low, AHEAD, message + advice, {"properties": most}, decisive=False)
