"""Train, validation and test splits: made once, per group, stratified by label, from a seed."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice

import numpy as np
import pandas as pd

from steel_training.data.dataset import CLEAN, DEFECTIVE, groups_of
from steel_training.errors import SteelTrainingError

TRAIN, VAL, TEST = "train", "val", "test"
SPLITS = (TRAIN, VAL, TEST)

_MOST_FOLDS = 20  # the smallest share that the configuration allows is 0.05


class CannotSplit(SteelTrainingError):
    """The manifest does not allow a grouped, stratified split; the message says what is missing."""


def assign_splits(manifest: pd.DataFrame, *, seed: int, val_share: float, test_share: float) -> pd.Series:
    """Return the split of every patch: `train`, `val` or `test`, with no group in more than one.

    A `split` column in the manifest is used as it is (validation checks it). If it has only `train` and `test`, validation
    is taken from the training groups, since the threshold must not be chosen on the test split.

    Args:
        manifest: with the required columns of the contract.
        seed: the same seed and manifest give the same splits.
        val_share: share of the groups for validation.
        test_share: share of the groups for the test split.

    Returns:
        Strings, with the index of the manifest.

    Raises:
        CannotSplit: a column is missing, a label is neither 0 nor 1, or a class is in too few groups.
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

    splits = given.copy() if given is not None else pd.Series(TRAIN, index=manifest.index, dtype="string")
    if given is None:
        splits[_held_out(labels, groups, share=test_share, seed=seed)] = TEST
        val_share = val_share / (1 - test_share)
    rest = splits == TRAIN
    chosen = _held_out(labels[rest], groups[rest], share=val_share, seed=seed + 1)
    splits[chosen] = VAL
    return splits


def _given(manifest: pd.DataFrame) -> pd.Series | None:
    if "split" not in manifest or manifest["split"].isna().all():
        return None
    return manifest["split"].astype("string").fillna("")


def _held_out(labels: pd.Series, groups: pd.Series, *, share: float, seed: int) -> pd.Index:
    """Return the rows of as many stratified folds of groups as come nearest to the share.

    Raises:
        CannotSplit: a class is in fewer groups than 1/share.
    """
    # Imported here: every stage imports the names of the splits, but only one makes them.
    from sklearn.model_selection import StratifiedGroupKFold

    needed = max(2, round(1 / share))
    fewest = _MOST_FOLDS
    for label, name in ((CLEAN, "clean"), (DEFECTIVE, "defective")):
        found = groups[labels == label].nunique()
        if found < needed:
            raise CannotSplit(
                f"{found} groups contain {name} patches; at least {needed} are needed for a share of {share:.2f}"
            )
        fewest = min(fewest, found)
    # A fold needs a group of each class, so few groups allow only coarse shares.
    fraction = Fraction(share).limit_denominator(max(needed, fewest))
    splitter = StratifiedGroupKFold(n_splits=fraction.denominator, shuffle=True, random_state=seed)
    folds = splitter.split(np.zeros(len(labels)), labels.to_numpy(int), groups.to_numpy(str))
    held_out = np.concatenate([fold for _, fold in islice(folds, fraction.numerator)])
    chosen: pd.Index = labels.index[held_out]
    return chosen
