"""Separability: how well properties predict the label of patches from groups that were not trained on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from steel_training.errors import SteelTrainingError
from steel_training.evaluation.confidence import Resamples, lower_quantile, resampled_areas
from steel_training.evaluation.metrics import auc

_FOLDS, _FEWEST_GROUPS = 5, 3

_CONFIDENCE, _RESAMPLES = 0.95, 200
# With this many patches an AUC is accurate to half a per cent; whole groups are sampled, so that time stays bounded.
_MOST_PATCHES = 12_000
_MOST_VALUES = 30
_FEWEST_PATCHES = 20


@dataclass(frozen=True)
class Separability:
    """How well properties predict a label.

    Attributes:
        auc: area under the ROC curve.
        bound: its one-sided lower 95 % bound, resampled by group.
        scores: cross-validated, of every patch used, float (n,).
        rows: positions of the patches used, int (n,).
    """

    auc: float
    bound: float
    scores: np.ndarray
    rows: np.ndarray


class TooFewGroups(SteelTrainingError):
    """A class is in too few groups for cross-validation by group."""


def separability(
    properties: pd.DataFrame, labels: np.ndarray, groups: np.ndarray, *, alone: bool = False, seed: int = 0
) -> Separability:
    """Predict labels from properties with gradient-boosted trees, cross-validated by group, and measure the AUC.

    Args:
        properties: one row per patch; columns that are not numeric are treated as categories. NaN is a value.
        labels: 0 or 1, int (n,).
        groups: that stay together in a fold, (n,).
        alone: also try each property on its own, and return that result if it is better: trees split at values seen in training,
            and a property that separates the labels within every coil may have another range in the next one.
        seed: of folds and resampling.

    Raises:
        TooFewGroups: a class is in fewer than 3 groups, or there are fewer than 20 patches.
    """
    # Imported here: whoever writes a report has the names of the probes, and scikit-learn takes two seconds of CPU time to load.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    held = [len(np.unique(groups[labels == label])) for label in (0, 1)]
    if min(held) < _FEWEST_GROUPS or len(labels) < _FEWEST_PATCHES:
        raise TooFewGroups(
            f"{len(labels)} patches, {held[0]} groups with one label and {held[1]} with the other; "
            f"at least {_FEWEST_PATCHES} patches and {_FEWEST_GROUPS} groups of each are needed"
        )
    rows = _drawn(groups, seed)
    values, labels, groups = _as_numbers(properties.iloc[rows]), labels[rows], groups[rows]
    scores = np.full(len(rows), float(labels.mean()))
    splitter = StratifiedGroupKFold(min(_FOLDS, *held), shuffle=True, random_state=seed)
    # With a few thousand rows, threads cost more in synchronisation than they save.
    with warnings.catch_warnings(), threadpool_limits(1, user_api="openmp"):
        warnings.simplefilter("ignore")  # a fold that lacks a class is skipped below and needs no warning
        for learned, judged in splitter.split(values, labels, groups):
            if len(np.unique(labels[learned])) < 2:
                continue
            trees = HistGradientBoostingClassifier(
                max_iter=40,
                max_leaf_nodes=8,
                learning_rate=0.2,
                min_samples_leaf=int(np.clip(len(rows) // 20, 1, 10)),
                random_state=seed,
            )
            known = np.isfinite(values[learned]).any(axis=0)  # the trees fail on a column without values
            if known.any():
                trees.fit(values[learned][:, known], labels[learned])
                scores[judged] = trees.predict_proba(values[judged][:, known])[:, 1]
    resamples = Resamples.by_group(groups, _RESAMPLES, seed)
    judged_scores = [scores, *(_singly(values, labels) if alone else ())]
    results = [
        Separability(
            auc(labels, each), lower_quantile(resampled_areas(labels, each, resamples)[0], _CONFIDENCE), each, rows
        )
        for each in judged_scores
    ]
    return max(results, key=lambda each: each.bound)


def _singly(values: np.ndarray, labels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the single property that predicts best, as scores (n,); nothing if no value is known."""
    known = [
        np.where(np.isnan(column), np.nanmedian(column), column) for column in values.T if np.isfinite(column).any()
    ]
    areas = [auc(labels, column) for column in known]
    if areas:
        best = int(np.argmax(np.abs(np.array(areas) - 0.5)))
        yield known[best] if areas[best] >= 0.5 else -known[best]


def _drawn(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows of randomly sampled groups that contain about `_MOST_PATCHES` patches; all rows if there are fewer."""
    if len(groups) <= _MOST_PATCHES:
        return np.arange(len(groups))
    _, number = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(number.max() + 1)
    sizes = np.bincount(number)[order]
    chosen = order[: max(2 * _FOLDS, int(np.searchsorted(np.cumsum(sizes), _MOST_PATCHES)) + 1)]
    return np.flatnonzero(np.isin(number, chosen))


def _as_numbers(properties: pd.DataFrame) -> np.ndarray:
    """Return float (n, features): numeric columns as they are, others as one indicator per frequent value."""
    columns: list[np.ndarray] = []
    for name in properties:
        column = properties[name]
        if pd.api.types.is_numeric_dtype(column):
            numbers = pd.to_numeric(column, errors="coerce").astype("float64").to_numpy()
            columns.append(np.where(np.isfinite(numbers), numbers, np.nan))
        else:
            text = column.astype("string").fillna("")
            frequent = text.value_counts().index[:_MOST_VALUES]
            columns += [(text == value).to_numpy(float) for value in frequent]
    return np.column_stack(columns) if columns else np.zeros((len(properties), 1))
