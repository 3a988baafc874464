"""Recall-first metrics from counts over a whole part, their lower bounds, and the choice of the operating threshold.

Everything here is a pure function of labels, scores and groups. Accuracy is not computed: on a line where one patch in
twenty is defective, a model that finds nothing is 95 % accurate.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

JUDGED = ("recall", "f2", "precision", "auc")
_BLOCK = 64


@dataclass(frozen=True)
class Counts:
    """The confusion matrix at a threshold: defective is positive."""

    tp: int
    fn: int
    fp: int
    tn: int

    @property
    def recall(self) -> float:
        """Share of the defects that are found."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def precision(self) -> float:
        """Share of the alarms that are defects."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def specificity(self) -> float:
        """Share of the clean patches that pass."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def f2(self) -> float:
        """F-score with beta 2, from counts: 5·TP / (5·TP + 4·FN + FP)."""
        return _ratio(5 * self.tp, 5 * self.tp + 4 * self.fn + self.fp)

    def as_dict(self) -> dict[str, int]:
        """Returns the four counts."""
        return asdict(self)


@dataclass(frozen=True)
class Estimate:
    """A metric on the test part, and its one-sided lower bound resampled by group; NaN where it is undefined."""

    value: float
    lower: float

    def as_dict(self) -> dict[str, float | None]:
        """Returns the fields as JSON values, None for what is not finite."""
        return {name: float(v) if np.isfinite(v) else None for name, v in asdict(self).items()}


def count(labels: np.ndarray, scores: np.ndarray, threshold: float) -> Counts:
    """Counts decisions `score >= threshold` against labels (n,), 0 clean and 1 defective."""
    called = scores >= threshold
    defective = labels == 1
    return Counts(
        tp=int(np.sum(called & defective)),
        fn=int(np.sum(~called & defective)),
        fp=int(np.sum(called & ~defective)),
        tn=int(np.sum(~called & ~defective)),
    )


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve; NaN with one class only."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores)) if len(np.unique(labels)) == 2 else float("nan")


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Average precision; NaN without defects."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, scores)) if np.any(labels == 1) else float("nan")


def sweep(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns (thresholds, recall, precision, F2), one value a distinct score, highest threshold first."""
    order = np.argsort(-scores, kind="stable")
    ranked, hit = scores[order], labels[order] == 1
    last = np.append(np.diff(ranked) != 0, True)
    tp = np.cumsum(hit)[last]
    called = (np.arange(len(scores)) + 1)[last]
    defects = hit.sum()
    return ranked[last], tp / defects, tp / called, 5 * tp / (4 * defects + called)


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
    """Judges scores on a part, with one-sided lower bounds from resampling whole groups.

    Patches of one photograph or coil are alike; resampling patches would make the bounds too tight. A bootstrap cannot
    show variation that the sample lacks (no miss in 20 defects gives a bound of 1), so the bound of a proportion is the
    lower of the bootstrap's and the exact one of Clopper and Pearson (1934).

    Args:
        labels: int (n,).
        scores: float (n,).
        groups: (n,), what was kept together in the split.
        threshold: operating threshold.
        confidence: one-sided, such as 0.95.
        resamples: number of resamples.
        seed: of the resampling.

    Returns:
        `recall`, `f2`, `precision`, `auc`, `average_precision`, `specificity`.
    """
    found = count(labels, scores, threshold)
    _, group = np.unique(groups, return_inverse=True)
    draws = np.random.default_rng(seed).multinomial(
        group.max() + 1, np.full(group.max() + 1, 1 / (group.max() + 1)), size=resamples
    )
    called, defective = scores >= threshold, labels == 1

    def totals(rows: np.ndarray) -> np.ndarray:
        return draws @ np.bincount(group, weights=rows, minlength=draws.shape[1])

    tp, fn = totals(called & defective), totals(~called & defective)
    fp, tn = totals(called & ~defective), totals(~called & ~defective)
    with np.errstate(invalid="ignore", divide="ignore"):
        samples = {
            "recall": tp / (tp + fn),
            "precision": tp / (tp + fp),
            "specificity": tn / (tn + fp),
            "f2": 5 * tp / (5 * tp + 4 * fn + fp),
        }
    samples["auc"], samples["average_precision"] = _resampled_areas(labels, scores, group, draws)
    values = {
        "recall": found.recall,
        "f2": found.f2,
        "precision": found.precision,
        "auc": auc(labels, scores),
        "average_precision": average_precision(labels, scores),
        "specificity": found.specificity,
    }
    exact = {
        "recall": _clopper_pearson(found.tp, found.tp + found.fn, confidence),
        "precision": _clopper_pearson(found.tp, found.tp + found.fp, confidence),
        "specificity": _clopper_pearson(found.tn, found.tn + found.fp, confidence),
    }
    return {
        name: Estimate(value, float(np.fmin(_quantile(samples[name], 1 - confidence), exact.get(name, np.inf))))
        for name, value in values.items()
    }


def _resampled_areas(
    labels: np.ndarray, scores: np.ndarray, group: np.ndarray, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, kind="stable")
    hit = (labels[order] == 1).astype(float)
    ties_end = np.append(np.diff(scores[order]) != 0, True)
    areas, precisions = [], []
    for start in range(0, len(draws), _BLOCK):
        weight = draws[start : start + _BLOCK][:, group[order]].astype(float)
        tp = np.cumsum(weight * hit, axis=1)[:, ties_end]
        fp = np.cumsum(weight * (1 - hit), axis=1)[:, ties_end]
        step_tp, step_fp = np.diff(tp, axis=1, prepend=0), np.diff(fp, axis=1, prepend=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            areas.append(np.sum(step_fp * (tp - step_tp / 2), axis=1) / (tp[:, -1] * fp[:, -1]))
            precision = np.where(tp + fp > 0, tp / (tp + fp), 0.0)
            precisions.append(np.sum(step_tp * precision, axis=1) / tp[:, -1])
    return np.concatenate(areas), np.concatenate(precisions)


def _clopper_pearson(successes: int, trials: int, confidence: float) -> float:
    from scipy.stats import beta

    if trials == 0:
        return float("nan")
    return float(beta.ppf(1 - confidence, successes, trials - successes + 1)) if successes else 0.0


def _quantile(samples: np.ndarray, q: float) -> float:
    finite = samples[np.isfinite(samples)]
    return float(np.quantile(finite, q)) if len(finite) else float("nan")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
