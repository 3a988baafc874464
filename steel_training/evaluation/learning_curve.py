"""What more training data would be worth: how false alarms fall with the number of training groups.

A quick model is fitted to a part of the training groups and judged on the validation split; the test split has no part in it. It
is weaker than the network that a run trains, so its level says little; its slope says whether more coils would help.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from steel_training.evaluation.confidence import Resamples
from steel_training.evaluation.metrics import auc

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Fits a model to the patches at the positions that come first, and scores those at the second ones: float (m,)."""

SHARES = (0.25, 0.5, 0.75, 1.0)
CONFIDENCE = 0.9
FEWEST_GROUPS = 6
"""Training groups with patches of each class from which a curve is drawn: half of them must still hold both classes."""
_DRAWS, _RESAMPLES = 4, 400


@dataclass(frozen=True)
class CurvePoint:
    """A model fitted to a part of the training groups; mean over several choices of groups.

    Attributes:
        groups: of training, that were fitted to.
        patches: in them.
        auc: on validation.
        false_alarms_per_1000: clean patches of validation in 1,000 that alarm where the recall of the curve is reached.
    """

    groups: int
    patches: int
    auc: float
    false_alarms_per_1000: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CurvePoint:
        """Read a point back."""
        return cls(**{each.name: values[each.name] for each in fields(cls)})


@dataclass(frozen=True)
class LearningCurve:
    """How a model gets better with more training groups.

    Attributes:
        recall: at which false alarms are counted.
        points: fewest groups first; the last one has all of them.
        saved: false alarms per 1,000 clean patches that the second half of the groups saved.
        low: lower end of its interval: validation groups are resampled, and fits to other groups differ.
        high: upper end.
    """

    recall: float
    points: Sequence[CurvePoint]
    saved: float
    low: float
    high: float

    @property
    def half(self) -> CurvePoint:
        """The point with half of the groups; those with three quarters and with all follow it."""
        return self.points[-3]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LearningCurve:
        """Read a curve back."""
        return cls(
            **{each.name: values[each.name] for each in fields(cls) if each.name != "points"},
            points=[CurvePoint.from_dict(each) for each in values["points"]],
        )


def learning_curve(
    score: Score,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    train: np.ndarray,
    val: np.ndarray,
    recall: float,
    most: int,
    seed: int = 0,
) -> LearningCurve | None:
    """Fit to 25, 50, 75 and 100 % of the training groups, and judge each fit on validation.

    Args:
        score: fits a model to patches and scores others.
        labels: 0 or 1, int (n,).
        groups: of the patches, (n,).
        train: positions of the training patches.
        val: positions of the validation patches.
        recall: at which false alarms are counted.
        most: patches to fit to; of more, each group gives a part.
        seed: of the choice of groups.

    Returns:
        `None` where training or validation has too few groups with patches of each class.
    """
    if min(_held(labels[train], groups[train])) < FEWEST_GROUPS or min(_held(labels[val], groups[val])) < 1:
        return None
    random = np.random.default_rng(seed)
    names = np.unique(groups[train])
    orders = [random.permutation(names) for _ in range(_DRAWS)]
    if len(train) > most:
        # Every group gets thinner by the same factor, so that the number of groups is what differs between the fits.
        train = np.sort(random.choice(train, most, replace=False))
    points: list[CurvePoint] = []
    alarming: dict[float, list[np.ndarray]] = {}
    for share in SHARES:
        number = max(1, round(share * len(names)))
        # Nested: the groups of a smaller part are among those of a larger one.
        parts = [train[np.isin(groups[train], order[:number])] for order in (orders if share < 1 else orders[:1])]
        parts = [rows for rows in parts if len(np.unique(labels[rows])) == 2]
        if not parts:
            continue
        scores = [score(rows, val) for rows in parts]
        alarming[share] = [_alarming(labels[val], each, recall) for each in scores]
        points.append(
            CurvePoint(
                number,
                round(float(np.mean([len(rows) for rows in parts]))),
                float(np.mean([auc(labels[val], each) for each in scores])),
                float(1000 * np.mean(np.mean(alarming[share], axis=0)[labels[val] == 0])),
            )
        )
    if len(alarming.get(0.5, ())) < 2:
        return None
    clean = np.asarray(labels[val] == 0, float)
    fewer = np.mean(alarming[0.5], axis=0) - alarming[1.0][0]
    resamples = Resamples.by_group(groups[val], _RESAMPLES, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        saved = 1000 * resamples.totals(fewer) / resamples.totals(clean)
    # A fit to other groups would give other alarms. The halves show by how much, and the fit to all groups is taken to vary as much.
    halves = 1000 * np.sum(alarming[0.5], axis=1) / clean.sum()
    saved += halves.std(ddof=1) * np.sqrt(1 + 1 / len(halves)) * random.standard_t(len(halves) - 1, len(saved))
    low, high = np.nanquantile(saved, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return LearningCurve(recall, points, float(1000 * fewer.sum() / clean.sum()), float(low), float(high))


def _held(labels: np.ndarray, groups: np.ndarray) -> list[int]:
    """Return the number of groups with clean and with defective patches."""
    return [len(np.unique(groups[labels == label])) for label in (0, 1)]


def _alarming(labels: np.ndarray, scores: np.ndarray, recall: float) -> np.ndarray:
    """Return which clean patches alarm at the highest threshold that reaches a recall: float (n,), 0 for defects."""
    threshold = np.quantile(scores[labels == 1], 1 - recall, method="lower")
    return np.asarray((scores >= threshold) & (labels == 0), float)
