"""The metrics of a split with their one-sided bounds, resampled by group."""

from __future__ import annotations

import numpy as np

from steel_training.evaluation.confidence import Resamples, grouped_share_bound, lower_quantile, resampled_areas
from steel_training.evaluation.metrics import Counts, Estimate, auc, average_precision, count


def estimates(
    labels: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    threshold: float,
    *,
    confidence: float,
    resamples: int,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Compute the metrics of scores on a split, with one-sided bounds.

    The bound of a proportion is the lower of the bootstrap and the exact one (`confidence.grouped_share_bound`); F2, AUC and
    average precision only have the bootstrap bound.

    Args:
        labels: int (n,).
        scores: float (n,).
        groups: (n,), that were kept together when splitting.
        threshold: operating threshold.
        confidence: one-sided, such as 0.95.
        resamples: number of resamples.
        seed: of the resampling.

    Returns:
        `recall`, `f2`, `precision`, `auc`, `average_precision`, `specificity`, `false_alarms_per_1000`.
    """
    drawn = Resamples.by_group(groups, resamples, seed)
    found = count(labels, scores, threshold)
    shares = proportions(labels, scores >= threshold, drawn, confidence)
    tp, fn, fp = (drawn.totals(rows) for rows in _outcomes(labels, scores >= threshold)[:3])
    with np.errstate(invalid="ignore", divide="ignore"):
        f2 = 5 * tp / (5 * tp + 4 * fn + fp)
    areas, precisions = resampled_areas(labels, scores, drawn)
    return {
        "recall": shares["recall"],
        "f2": Estimate(found.f2, lower_quantile(f2, confidence)),
        "precision": shares["precision"],
        "auc": Estimate(auc(labels, scores), lower_quantile(areas, confidence)),
        "average_precision": Estimate(average_precision(labels, scores), lower_quantile(precisions, confidence)),
        "specificity": shares["specificity"],
        "false_alarms_per_1000": shares["false_alarms_per_1000"],
    }


def proportions(
    labels: np.ndarray, predicted_positive: np.ndarray, drawn: Resamples, confidence: float
) -> dict[str, Estimate]:
    """Return recall, precision, specificity and false alarms per 1,000 clean patches, with bounds.

    Args:
        labels: int (n,).
        predicted_positive: bool (n,).
        drawn: resamples of the groups of the same patches.
        confidence: one-sided.
    """
    outcomes = _outcomes(labels, predicted_positive)
    tp, fn, fp, tn = (drawn.per_group(rows) for rows in outcomes)
    found = Counts(*(int(np.sum(rows)) for rows in outcomes))

    def bound(hits: np.ndarray, others: np.ndarray) -> float:
        return float(grouped_share_bound(hits, hits + others, drawn.draws, confidence))

    specificity = Estimate(found.specificity, bound(tn, fp))
    return {
        "recall": Estimate(found.recall, bound(tp, fn)),
        "precision": Estimate(found.precision, bound(tp, fp)),
        "specificity": specificity,
        "false_alarms_per_1000": Estimate(found.false_alarms_per_1000, 1000 * (1 - specificity.bound)),
    }


def auc_bound(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, *, confidence: float, resamples: int = 500
) -> float:
    """Return a one-sided lower bound of the AUC that holds for few groups too.

    A bootstrap of three groups hardly varies, and one of many groups may miss what varies within them. So the standard error is
    the larger of the bootstrap's, over groups, and that of independent patches (Hanley and McNeil 1982, Radiology 143:29).

    Args:
        labels: int (n,).
        scores: float (n,).
        groups: (n,), that were kept together when splitting.
        confidence: one-sided, such as 0.95.
        resamples: number of resamples.

    Returns:
        At most the AUC; NaN if a class has no patches, or a score is not finite.
    """
    from scipy.stats import norm

    area = auc(labels, scores)
    defective = int(np.sum(labels == 1))
    clean = len(labels) - defective
    if not (defective and clean and np.isfinite(area)):
        return float("nan")
    one, two, square = area / (2 - area), 2 * area**2 / (1 + area), area**2
    variance = area * (1 - area) + (defective - 1) * (one - square) + (clean - 1) * (two - square)
    independent = np.sqrt(max(variance, 0.0) / (defective * clean))
    areas, _ = resampled_areas(labels, scores, Resamples.by_group(groups, resamples, seed=0))
    areas = areas[np.isfinite(areas)]  # a resample may lack a class
    error = max(independent, float(np.std(areas))) if len(areas) else independent
    return float(area - norm.ppf(confidence) * error)


def precision_at(
    prevalence: float,
    labels: np.ndarray,
    predicted_positive: np.ndarray,
    drawn: Resamples,
    confidence: float,
) -> Estimate:
    """Return the precision at another prevalence: π·r / (π·r + (1 − π)·(1 − s)).

    r is recall and s specificity on the split; neither depends on the prevalence. The bound is the lower of the bootstrap bound
    and the formula at the bound of the specificity, since a split without false alarms does not prove that there are none.

    Args:
        prevalence: π, share of defective patches in production.
        labels: int (n,).
        predicted_positive: bool (n,).
        drawn: resamples of the groups of the same patches.
        confidence: one-sided.
    """
    tp, fn, fp, tn = (drawn.totals(rows) for rows in _outcomes(labels, predicted_positive))
    shares = proportions(labels, predicted_positive, drawn, confidence)
    recall, specificity = shares["recall"], shares["specificity"]

    def precision(found: np.ndarray | float, passed: np.ndarray | float) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            hits = np.asarray(prevalence * found)
            return hits / (hits + (1 - prevalence) * (1 - passed))

    with np.errstate(invalid="ignore", divide="ignore"):
        resampled = lower_quantile(precision(tp / (tp + fn), tn / (tn + fp)), confidence)
    exact = float(precision(recall.value, specificity.bound))
    return Estimate(float(precision(recall.value, specificity.value)), float(np.fmin(resampled, exact)))


def _outcomes(
    labels: np.ndarray, predicted_positive: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    defective = labels == 1
    return (
        predicted_positive & defective,
        ~predicted_positive & defective,
        predicted_positive & ~defective,
        ~predicted_positive & ~defective,
    )
