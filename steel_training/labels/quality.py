"""Label quality: how likely a label is right, given the out-of-fold score of its patch.

After confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal
of Artificial Intelligence Research 70): labels are wrong at random within a class, and the joint distribution of given and true
labels says how often. Here the joint comes from the tails of the scores (`wrong_shares`), and ranks by Bayes' rule: where hardly any
defect is labelled clean by mistake, a defect that scores low is a hard defect, not a wrong label.
"""

from __future__ import annotations

import numpy as np

_SURE = 1e-3
_LARGEST = 0.45


def label_quality(labels: np.ndarray, scores: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return the probability that each label is right.

    Args:
        labels: as given, 0 or 1, int (n,), both present.
        scores: out of fold, probability that the given label is 1, float (n,); need not be calibrated.
        wrong: share of wrong labels among patches labelled 0 and 1, float (2,).

    Returns:
        float64 (n,), 0 to 1.
    """
    false_alarm, miss = turned_rates(labels, wrong)
    defective = probability_of_a_defect(labels, scores, false_alarm, miss)
    clean = 1 - defective
    for_clean = clean * (1 - false_alarm) / (clean * (1 - false_alarm) + defective * miss)
    for_defective = defective * (1 - miss) / (defective * (1 - miss) + clean * false_alarm)
    return np.asarray(np.where(labels == 1, for_defective, for_clean))


def turned_rates(labels: np.ndarray, wrong: np.ndarray) -> tuple[float, float]:
    """Return how often a truly clean patch is labelled defective, and a truly defective one clean.

    Args:
        labels: as given, 0 or 1, int (n,), both present.
        wrong: share of wrong labels among patches labelled 0 and 1, float (2,). At least half a patch each: none found among few
            does not mean none.
    """
    counts = np.array([np.sum(labels == 0), np.sum(labels == 1)], float)
    turned = np.clip(wrong, 0.5 / counts, 0.95) * counts
    clean = counts[0] - turned[0] + turned[1]
    defective = counts[1] - turned[1] + turned[0]
    return min(float(turned[1] / clean), _LARGEST), min(float(turned[0] / defective), _LARGEST)


def probability_of_a_defect(labels: np.ndarray, scores: np.ndarray, false_alarm: float, miss: float) -> np.ndarray:
    """Return the probability that each patch is defective, whatever its label.

    The labels say 1 with probability f + (1 − f − m)·p, where f and m are the rates of `turned_rates` and p = sigmoid(slope · z +
    intercept) of the standardised log-odds z; slope and intercept are those of maximum likelihood. With f = m = 0 this is Platt's
    calibration, whose slope every wrong label flattens.

    Returns:
        float64 (n,), strictly between 0 and 1; in the order of the scores.
    """
    from scipy.optimize import minimize

    bounded = np.clip(scores, 1e-9, 1 - 1e-9)
    log_odds = np.log(bounded) - np.log1p(-bounded)
    z = (log_odds - log_odds.mean()) / max(float(log_odds.std()), 1e-9)

    def defective(line: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-np.clip(line[0] * z + line[1], -30, 30))))

    def loss(line: np.ndarray) -> float:
        says_defective = false_alarm + (1 - false_alarm - miss) * defective(line)
        return float(-np.mean(np.log(np.where(labels == 1, says_defective, 1 - says_defective) + 1e-12)))

    share = float(np.clip(labels.mean(), 0.01, 0.99))
    found = minimize(loss, [1.0, np.log(share / (1 - share))], method="L-BFGS-B", bounds=[(0, 50), (-50, 50)])
    return np.asarray(np.clip(defective(found.x), _SURE, 1 - _SURE))


def worst_first(labels: np.ndarray, scores: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Return the positions of the patches, int (n,), lowest quality first; equal ones by how much the score disagrees."""
    support = np.where(labels == 1, scores, 1 - scores)
    return np.lexsort((np.arange(len(labels)), support, quality))
