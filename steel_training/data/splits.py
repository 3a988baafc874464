"""Train, validation and test parts: made once, per group, stratified by label, from a seed."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice

import numpy as np
import pandas as pd

from steel_training.data.dataset import CLEAN, DEFECTIVE, groups_of
from steel_training.errors import SteelTrainingError

TRAIN, VAL, TEST = "train", "val", "test"
SPLITS = (TRAIN, VAL, TEST)

_MOST_FOLDS = 20  # the smallest share that a configuration may ask for is 0.05


class CannotSplit(SteelTrainingError):
    """The manifest does not allow grouped, stratified parts; the message says what is missing."""


def assign_splits(manifest: pd.DataFrame, *, seed: int, val_share: float, test_share: float) -> pd.Series:
    """Returns the part of every patch: `train`, `val` or `test`, no group in two of them.

    A `split` column in the manifest is used as it stands (validation checks it). Where it knows only `train` and
    `test`, validation is cut from the training groups: choosing a threshold on the test part is not an option.

    Args:
        manifest: with the required columns of the contract.
        seed: the same seed and manifest give the same parts.
        val_share: share of the groups for validation.
        test_share: share of the groups for the test part.

    Returns:
        Strings, index of the manifest.

    Raises:
        CannotSplit: a column is missing, a label is neither 0 nor 1, or there are too few groups of a class.
    """
    missing = [column for column in ("label", "source_id") if column not in manifest]
    if missing:
        raise CannotSplit(f"column {', '.join(missing)} is missing")
    given = _given(manifest)
    if given is not None and (set(given.unique()) != {TRAIN, TEST}):
        return given

    labels = pd.to_numeric(manifest["label"], errors="coerce")
    if not labels.isin([CLEAN, DEFECTIVE]).all():
        raise CannotSplit("labels other than 0 and 1")
    groups = groups_of(manifest)
    if groups.isna().any():
        raise CannotSplit("rows without source_id")

    parts = given.copy() if given is not None else pd.Series(TRAIN, index=manifest.index, dtype="string")
    if given is None:
        parts[_held_out(labels, groups, share=test_share, seed=seed)] = TEST
        val_share = val_share / (1 - test_share)
    rest = parts == TRAIN
    chosen = _held_out(labels[rest], groups[rest], share=val_share, seed=seed + 1)
    parts[chosen] = VAL
    return parts


def _given(manifest: pd.DataFrame) -> pd.Series | None:
    if "split" not in manifest or manifest["split"].isna().all():
        return None
    return manifest["split"].astype("string").fillna("")


def _held_out(labels: pd.Series, groups: pd.Series, *, share: float, seed: int) -> pd.Index:
    """Returns the rows of as many stratified folds of groups as come nearest to the share.

    Raises:
        CannotSplit: a class stands in fewer groups than 1/share.
    """
    # Here, since every stage imports the names of the splits, and one makes them.
    from sklearn.model_selection import StratifiedGroupKFold

    needed = max(2, round(1 / share))
    fewest = _MOST_FOLDS
    for label, name in ((CLEAN, "clean"), (DEFECTIVE, "defective")):
        found = groups[labels == label].nunique()
        if found < needed:
            raise CannotSplit(
                f"{found} groups hold {name} patches; at least {needed} are needed for a share of {share:.2f}"
            )
        fewest = min(fewest, found)
    # A fold needs a group of each class, so few groups allow only coarse shares.
    part = Fraction(share).limit_denominator(max(needed, fewest))
    splitter = StratifiedGroupKFold(n_splits=part.denominator, shuffle=True, random_state=seed)
    folds = splitter.split(np.zeros(len(labels)), labels.to_numpy(int), groups.to_numpy(str))
    held_out = np.concatenate([fold for _, fold in islice(folds, part.numerator)])
    chosen: pd.Index = labels.index[held_out]
    return chosen
