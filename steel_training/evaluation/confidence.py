"""One-sided confidence bounds of metrics on a split, from a bootstrap over groups and from an exact interval.

Patches of one source image or coil are correlated, so they are never treated as independent: the bootstrap resamples whole
groups, and the exact interval uses the effective sample size. Everything is a pure function of arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

import numpy as np

ASSUMED_CORRELATION = 0.2
"""Prior for the correlation of misses (or false alarms) within a group, until the split itself has enough of them."""

ASSUMED_WEIGHT = 20
"""Weight of the prior, as a number of misses: with more than these, the measured correlation dominates."""

MAX_DEFECTS = 1_000_000
_BLOCK = 64


@dataclass(frozen=True)
class Resamples:
    """Bootstrap resamples of whole groups.

    Attributes:
        group: int (n,), number of the group of every patch.
        draws: float32 (resamples, groups), how often each group was drawn.
    """

    group: np.ndarray
    draws: np.ndarray

    @classmethod
    def by_group(cls, groups: np.ndarray, resamples: int, seed: int) -> Resamples:
        """Draw groups (n,) with replacement; the same groups and seed give the same draws."""
        _, group = np.unique(groups, return_inverse=True)
        count = int(group.max()) + 1
        random, even = np.random.default_rng(seed), np.full(count, 1 / count)
        draws = np.empty((resamples, count), np.float32)
        for start in range(0, resamples, _BLOCK):
            rows = draws[start : start + _BLOCK]
            rows[:] = random.multinomial(count, even, size=len(rows))
        return cls(group, draws)

    def per_group(self, rows: np.ndarray) -> np.ndarray:
        """Sum values (n,) over each group: float32 (groups,)."""
        return np.asarray(np.bincount(self.group, weights=rows, minlength=self.draws.shape[1]), np.float32)

    def totals(self, rows: np.ndarray) -> np.ndarray:
        """Sum values (n,) over each resample: float (resamples,)."""
        return np.asarray(self.draws @ self.per_group(rows), float)


def lower_quantile(samples: np.ndarray, confidence: float) -> float:
    """Return the one-sided lower bound of resampled values; NaN if none is finite."""
    finite = samples[np.isfinite(samples)]
    return float(np.quantile(finite, 1 - confidence)) if len(finite) else float("nan")


def clopper_pearson(successes: np.ndarray, trials: np.ndarray, confidence: float) -> np.ndarray:
    """Return the exact one-sided lower bound of a proportion (Clopper and Pearson 1934); also for non-integer effective counts.

    Args:
        successes: (…), 0 to `trials`.
        trials: (…).
        confidence: such as 0.95.

    Returns:
        Bounds, float (…); NaN where there are no trials.
    """
    # Imported here, and below: most stages only read bounds, and SciPy's statistics take a second of CPU time to load.
    from scipy.stats import beta

    successes, trials = np.asarray(successes, float), np.asarray(trials, float)
    bound = beta.ppf(1 - confidence, np.maximum(successes, 1e-12), np.maximum(trials - successes, 0.0) + 1)
    return np.where(trials > 0, np.where(successes > 0, bound, 0.0), np.nan)


def design_effect(successes: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Return the design effect (Kish 1965), by which correlation within groups inflates a variance: 1 + (m − 1)·ρ.

    m is the mean group size per trial, ρ the intra-group correlation. With few failures ρ cannot be measured: without one,
    15 source images of 4 defects each look like 60 independent defects. So the estimate starts at `ASSUMED_CORRELATION`, and
    moves to the measured value as the number of failures grows. Negative values count as 0.

    Args:
        successes: (…, groups), per group.
        trials: (…, groups), per group.

    Returns:
        (…), ≥ 1; NaN where there are no trials.
    """
    successes, trials = np.asarray(successes, float), np.asarray(trials, float)
    found, total = successes.sum(-1), trials.sum(-1)
    groups = (trials > 0).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = found / total
        size = np.square(trials).sum(-1) / total
        spread = np.square(successes - share[..., None] * trials).sum(-1) * groups / np.maximum(groups - 1, 1)
        rarer = np.minimum(found, total - found)
        measured = np.clip((spread / (total * share * (1 - share)) - 1) / (size - 1), 0, 1)
        measured = np.where((rarer > 0) & (size > 1), measured, ASSUMED_CORRELATION)
        correlation = (rarer * measured + ASSUMED_WEIGHT * ASSUMED_CORRELATION) / (rarer + ASSUMED_WEIGHT)
        return np.asarray(1 + np.maximum(size - 1, 0.0) * correlation)


def share_bound(successes: np.ndarray, trials: np.ndarray, confidence: float) -> np.ndarray:
    """Return the one-sided lower bound of a proportion with clustered trials (Korn and Graubard 1998).

    It is the Clopper-Pearson bound for the effective sample size: the number of trials divided by the design effect, reduced
    further for few groups (Student's t).

    Args:
        successes: (…, groups), per group.
        trials: (…, groups), per group.
        confidence: such as 0.95.

    Returns:
        Bounds, float (…); NaN where there are no trials.
    """
    from scipy.stats import t

    successes, trials = np.asarray(successes, float), np.asarray(trials, float)
    found, total = successes.sum(-1), trials.sum(-1)
    groups = (trials > 0).sum(-1)
    few = t.ppf(confidence, np.maximum(total - 1, 1)) / t.ppf(confidence, np.maximum(groups - 1, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        effective_size = total * few**2 / design_effect(successes, trials)
        return clopper_pearson(found / total * effective_size, effective_size, confidence)


def resampled_shares(successes: np.ndarray, trials: np.ndarray, draws: np.ndarray, confidence: float) -> np.ndarray:
    """Return lower quantiles of a proportion over resamples of groups.

    Args:
        successes: (…, groups), per group.
        trials: (…, groups), per group.
        draws: (resamples, groups).
        confidence: such as 0.95.

    Returns:
        Bounds, float (…); NaN where no resample has a trial.
    """
    found, total = draws @ np.moveaxis(successes, -1, 0), draws @ np.moveaxis(trials, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        samples = np.asarray(found / total, float)
    if not np.isfinite(samples).all():
        return np.asarray(np.apply_along_axis(lower_quantile, 0, samples, confidence))
    return np.asarray(np.quantile(samples, 1 - confidence, axis=0))


def grouped_share_bound(successes: np.ndarray, trials: np.ndarray, draws: np.ndarray, confidence: float) -> np.ndarray:
    """Return the bound that the gate uses: the lower of the bootstrap and the exact bound.

    A bootstrap cannot show variation that the split lacks (no miss in 20 defects gives a bound of 1); the exact bound uses
    only the average correlation within groups.

    Args:
        successes: float (…, groups), per group.
        trials: float (…, groups), per group.
        draws: (resamples, groups).
        confidence: such as 0.95.
    """
    resampled = resampled_shares(successes, trials, draws, confidence)
    return np.asarray(np.fmin(resampled, share_bound(successes, trials, confidence)))


def resampled_areas(labels: np.ndarray, scores: np.ndarray, resamples: Resamples) -> tuple[np.ndarray, np.ndarray]:
    """Return the area under the ROC curve and the average precision of every resample, float (resamples,) each."""
    order = np.argsort(-scores, kind="stable")
    hit = (labels[order] == 1).astype(float)
    ties_end = np.append(np.diff(scores[order]) != 0, True)
    column = resamples.group[order]
    areas, precisions = [], []
    for start in range(0, len(resamples.draws), _BLOCK):
        weight = resamples.draws[start : start + _BLOCK][:, column].astype(float)
        tp = np.cumsum(weight * hit, axis=1)[:, ties_end]
        fp = np.cumsum(weight * (1 - hit), axis=1)[:, ties_end]
        step_tp, step_fp = np.diff(tp, axis=1, prepend=0), np.diff(fp, axis=1, prepend=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            areas.append(np.sum(step_fp * (tp - step_tp / 2), axis=1) / (tp[:, -1] * fp[:, -1]))
            precision = np.where(tp + fp > 0, tp / (tp + fp), 0.0)
            precisions.append(np.sum(step_tp * precision, axis=1) / tp[:, -1])
    return np.concatenate(areas), np.concatenate(precisions)


def min_defects_zero_misses(target: float, confidence: float) -> int | None:
    """Return how many defects, with zero misses, prove a recall: the smallest n with target^n ≤ 1 − confidence.

    Returns:
        59 for 0.95 at 95 %; `None` for a target of 1, which cannot be proven.
    """
    if target >= 1.0:
        return None
    if target <= 0.0:
        return 1
    return max(1, ceil(log(1 - confidence) / log(target) - 1e-9))


def defects_needed(recall: float, target: float, confidence: float, effect: float = 1.0) -> int | None:
    """Return how many defects would prove the target if the observed recall stays the same.

    Args:
        recall: observed.
        target: that its bound is to reach.
        confidence: such as 0.95.
        effect: design effect: number of clustered defects that equal one independent one.

    Returns:
        The smallest number whose Clopper-Pearson bound reaches the target; `None` if none up to a million does, or the recall
        is at or below the target.
    """
    if not target < recall <= 1.0:
        return None

    def proves(count: int) -> bool:
        return bool(clopper_pearson(np.asarray(recall * count), np.asarray(count), confidence) >= target)

    low, high = 0, 1
    while not proves(high):
        low, high = high, 2 * high
        if high > MAX_DEFECTS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return ceil(high * effect)
