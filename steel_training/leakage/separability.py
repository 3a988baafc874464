"""How well some properties tell the label of patches whose group they were never learned from."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from steel_training.errors import SteelTrainingError
from steel_training.evaluation.confidence import Resamples, lower_quantile, resampled_areas
from steel_training.evaluation.metrics import auc

_FOLDS, _FEWEST_GROUPS = 5, 3

_CONFIDENCE, _RESAMPLES = 0.95, 200
# Past so many patches an AUC is known to half a per cent; whole groups are drawn, so that time stays bounded.
_MOST_PATCHES = 12_000
_MOST_VALUES = 30
_FEWEST_PATCHES = 20


@dataclass(frozen=True)
class Separability:
    """What properties say of a label.

    Attributes:
        auc: area under the ROC curve.
        bound: its one-sided lower 95 % bound, resampled by group.
        scores: of every patch judged, float (n,).
        rows: which patches were judged, positions (n,).
    """

    auc: float
    bound: float
    scores: np.ndarray
    rows: np.ndarray


class TooFewGroups(SteelTrainingError):
    """A class stands in too few groups to learn from some and judge on others."""


def separability(
    properties: pd.DataFrame, labels: np.ndarray, groups: np.ndarray, *, alone: bool = False, seed: int = 0
) -> Separability:
    """Learns labels from properties, group by group left out (gradient-boosted trees), and judges the scores.

    Args:
        properties: one row a patch; numbers, or anything else, which is taken as categories. NaN is a value.
        labels: 0 or 1, int (n,).
        groups: what is left out together, (n,).
        alone: takes a single property instead, where one tells more than all of them: trees cut at the values they have
            seen, and a property that separates the labels in every coil may lie elsewhere in the next one.
        seed: of folds and resampling.

    Raises:
        TooFewGroups: a class stands in fewer than 3 groups, or there are fewer than 20 patches.
    """
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
    # On a few thousand rows threads wait for each other longer than they work.
    with warnings.catch_warnings(), threadpool_limits(1, user_api="openmp"):
        warnings.simplefilter("ignore")  # a fold without one of the classes is skipped below, not worth a line a fold
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
            known = np.isfinite(values[learned]).any(axis=0)  # the trees fail on a property that nobody has
            if known.any():
                trees.fit(values[learned][:, known], labels[learned])
                scores[judged] = trees.predict_proba(values[judged][:, known])[:, 1]
    draws = Resamples.by_group(groups, _RESAMPLES, seed)
    judged_scores = [scores, *(_singly(values, labels) if alone else ())]
    told = [
        Separability(
            auc(labels, each), lower_quantile(resampled_areas(labels, each, draws)[0], _CONFIDENCE), each, rows
        )
        for each in judged_scores
    ]
    return max(told, key=lambda each: each.bound)


def _singly(values: np.ndarray, labels: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the property that tells most on its own, as scores (n,); none where no value is known."""
    known = [
        np.where(np.isnan(column), np.nanmedian(column), column) for column in values.T if np.isfinite(column).any()
    ]
    areas = [auc(labels, column) for column in known]
    if areas:
        best = int(np.argmax(np.abs(np.array(areas) - 0.5)))
        yield known[best] if areas[best] >= 0.5 else -known[best]


def _drawn(groups: np.ndarray, seed: int) -> np.ndarray:
    """Returns the rows of as many groups, drawn at random, as hold `_MOST_PATCHES` patches."""
    if len(groups) <= _MOST_PATCHES:
        return np.arange(len(groups))
    _, number = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(number.max() + 1)
    sizes = np.bincount(number)[order]
    chosen = order[: max(2 * _FOLDS, int(np.searchsorted(np.cumsum(sizes), _MOST_PATCHES)) + 1)]
    return np.flatnonzero(np.isin(number, chosen))


def _as_numbers(properties: pd.DataFrame) -> np.ndarray:
    """Returns float (n, features): numbers as they are, anything else as one indicator for each frequent value."""
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
