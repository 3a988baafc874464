"""Share of wrong labels of each class, estimated from the tails of out-of-fold scores, with an interval by group.

Among patches labelled 1, those that are truly clean score like clean ones. Below the median score of the patches labelled 0
lie half of all clean patches and hardly any defects: twice the share of label 1 that lies there is about the share of label 1
that is clean. In symbols, for tail q, with scores s and the q-quantile t of s given label 0:

    a = P(s ≤ t | label 1) / q = e1 / (1 − e0),   b likewise at the top = e0 / (1 − e1)

where e0, e1 are the shares of wrong labels. Any tail gives an upper bound in expectation (Blanchard, Lee and Scott 2010; Scott
2015); the smaller the tail, the closer the bound, and the fewer patches it rests on. Counting confident disagreements instead (the
confident joint) takes every hard patch for a wrong label: docs/labels.md compares both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from steel_training.evaluation.confidence import Resamples, share_bound

TAIL = 0.5
"""Share of a class in the tail by which the shares are estimated."""

_TAILS = (0.2, TAIL, 0.7)
CONFIDENCE, _RESAMPLES = 0.9, 1000
# A model no better than chance puts as many patches of either label in a tail, and the two equations have no solution.
_LARGEST = 0.95


@dataclass(frozen=True)
class WrongShare:
    """Estimated share of wrong labels among the patches of one label.

    Attributes:
        label: 0 or 1, as given.
        patches: with this label.
        share: estimate, 0 to 1.
        low: lower end of the interval.
        high: upper end.
    """

    label: int
    patches: int
    share: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WrongShare:
        """Read an estimate back."""
        return cls(*(values[name] for name in ("label", "patches", "share", "low", "high")))


def wrong_shares(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the estimated share of wrong labels among patches labelled 0 and 1, float (2,).

    Args:
        labels: as given, 0 or 1, int (n,), both present.
        scores: out of fold, higher for defects, float (n,).
    """
    counts = np.array([np.sum(labels == 0), np.sum(labels == 1)], float)
    tails = np.array([np.sum(rows) for rows in _tails(labels, scores, TAIL)], float)
    return _solved(tails, counts, TAIL)


def estimate_wrong_shares(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, *, confidence: float = CONFIDENCE, seed: int = 0
) -> tuple[WrongShare, WrongShare]:
    """Estimate the shares of wrong labels, with two-sided intervals from a bootstrap over groups.

    The interval is the envelope of those of three tails: the smallest tells hard patches from wrong labels best, the largest
    rests on most patches.

    Args:
        labels: as given, 0 or 1, int (n,), both present.
        scores: out of fold, higher for defects, float (n,).
        groups: that are resampled, (n,).
        confidence: of the interval.
        seed: of the resampling.

    Returns:
        Of label 0 and label 1.
    """
    resamples = Resamples.by_group(groups, _RESAMPLES, seed)
    members = [labels == 0, labels == 1]
    counts = np.stack([resamples.totals(rows) for rows in members])
    samples, found = [], np.zeros(2)
    for tail in _TAILS:
        rows = _tails(labels, scores, tail)
        found += [np.sum(each) for each in rows]
        samples.append(_solved(np.stack([resamples.totals(each) for each in rows]), counts, tail))
    outside = (1 - confidence) / 2
    low = np.min([np.nanquantile(each, outside, axis=1) for each in samples], axis=0)
    high = np.max([np.nanquantile(each, 1 - outside, axis=1) for each in samples], axis=0)
    share = wrong_shares(labels, scores)
    ends = []
    for label, rows in enumerate(members):
        top = float(high[label])
        if found[label] == 0:
            # No resample can show what no tail has: the exact bound for none among so many clustered patches.
            trials = resamples.per_group(rows)
            top = min(1.0, float(1 - share_bound(trials, trials, 1 - outside)) / TAIL)
        ends.append((min(float(low[label]), float(share[label])), max(top, float(share[label]))))
    return (
        WrongShare(0, int(members[0].sum()), float(share[0]), *ends[0]),
        WrongShare(1, int(members[1].sum()), float(share[1]), *ends[1]),
    )


def _tails(labels: np.ndarray, scores: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which patches of label 0 score like the highest of label 1, and those of label 1 like the lowest of label 0."""
    clean, defective = labels == 0, labels == 1
    top = np.quantile(scores[defective], 1 - tail)
    bottom = np.quantile(scores[clean], tail)
    return clean & (scores >= top), defective & (scores <= bottom)


def _solved(tails: np.ndarray, counts: np.ndarray, tail: float) -> np.ndarray:
    """Return the shares of wrong labels, (2, …), from patches in the tails (2, …) and in total (2, …)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        b, a = np.minimum(tails / counts / tail, _LARGEST)
    return np.stack([b * (1 - a) / (1 - a * b), a * (1 - b) / (1 - a * b)])
