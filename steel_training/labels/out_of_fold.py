"""Scores of every patch by models that were fitted without its group, so that no wrong label vouches for itself.

scikit-learn is loaded when a model is fitted: who reviews labels needs none, and waits for the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from steel_training.labels.errors import CannotAudit

Features = Callable[[np.ndarray], np.ndarray]
"""Returns the features of patches at positions int (m,): float32 (m, channels)."""

FEWEST_PATCHES, FEWEST_GROUPS = 40, 3
FOLDS, REPEATS = 5, 3
# Weak regularisation lets a model learn wrong labels by heart; docs/labels.md has the comparison.
_C = 1e-2
# A linear model of about a thousand features gains little from more, and memory stays bounded.
MOST_FITTED = 20_000
_BATCH = 4096


def out_of_fold_scores(
    features: Features,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> np.ndarray:
    """Score patches by logistic regression on standardised features, cross-validated by group.

    Args:
        features: of the patches, by their position.
        labels: 0 or 1, int (n,).
        groups: that stay together in a fold, (n,).
        folds: at most; fewer where a class is in fewer groups.
        repeats: divisions into folds, over which the log-odds are averaged.
        seed: of the divisions.

    Returns:
        Probability that the label is 1, float64 (n,): drawn towards the share of defects, the more the fewer patches there are.

    Raises:
        CannotAudit: a class is in too few groups, there are too few patches, or a feature is not finite.
    """
    require_enough(labels, groups)
    held = [len(np.unique(groups[labels == label])) for label in (0, 1)]
    total = np.zeros(len(labels))
    for repeat in range(repeats):
        for fitted, scored in _divisions(labels, groups, min(folds, *held), seed + repeat):
            total[scored] += fitted_log_odds(features, labels, groups, fitted, scored, seed=seed + repeat)
    return np.asarray(1 / (1 + np.exp(-total / repeats)))


def require_enough(labels: np.ndarray, groups: np.ndarray) -> None:
    """Refuse a dataset too small to cross-validate by group.

    Args:
        labels: 0 or 1, int (n,).
        groups: of the patches, (n,).

    Raises:
        CannotAudit: a class is in too few groups, or there are too few patches.
    """
    counts = [int(np.sum(labels == label)) for label in (0, 1)]
    held = [len(np.unique(groups[labels == label])) for label in (0, 1)]
    if len(labels) < FEWEST_PATCHES or min(held) < FEWEST_GROUPS:
        raise CannotAudit(
            f"{counts[0]:,} clean patches in {held[0]:,} groups and {counts[1]:,} defective ones in {held[1]:,} are too few to audit "
            f"their labels. At least {FEWEST_PATCHES} patches, and {FEWEST_GROUPS} groups with patches of each class, are needed; add "
            "coils, or source images of other steel."
        )


def _divisions(
    labels: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the positions to fit and to score; each patch is scored once, and no group is in both."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for fitted, scored in splitter.split(np.zeros(len(labels)), labels, groups):
        if len(np.unique(labels[fitted])) < 2:
            raise CannotAudit(
                "Nearly all patches of one class are in one group, so that no model can be fitted without it. Add coils, or source "
                "images of other steel."
            )
        yield fitted, scored


def _drawn(rows: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows of randomly drawn groups with about `MOST_FITTED` patches; all rows where there are fewer."""
    if len(rows) <= MOST_FITTED:
        return rows
    _, number = np.unique(groups[rows], return_inverse=True)
    place = np.argsort(np.random.default_rng(seed).permutation(number.max() + 1))
    return np.sort(rows[np.argsort(place[number], kind="stable")[:MOST_FITTED]])


def fitted_log_odds(
    features: Features, labels: np.ndarray, groups: np.ndarray, fitted: np.ndarray, scored: np.ndarray, *, seed: int
) -> np.ndarray:
    """Fit logistic regression to some patches and score others.

    Args:
        features: of the patches, by their position.
        labels: 0 or 1, int (n,).
        groups: of the patches, (n,); of very many patches, those of randomly drawn groups are fitted to.
        fitted: positions, both labels among them.
        scored: positions (m,).
        seed: of the draw.

    Returns:
        Log-odds of label 1, float64 (m,).

    Raises:
        CannotAudit: a feature is not finite.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    fitted = _drawn(fitted, groups, seed)
    values = _finite(features(fitted))
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0)

    def standardised(raw: np.ndarray) -> np.ndarray:
        return np.asarray((raw - mean) * scale, np.float32)

    with threadpool_limits(1, user_api="openmp"):
        model = LogisticRegression(C=_C, max_iter=200).fit(standardised(values), labels[fitted])
    del values
    parts = [
        model.decision_function(standardised(_finite(features(scored[start : start + _BATCH]))))
        for start in range(0, len(scored), _BATCH)
    ]
    return np.concatenate(parts)


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise CannotAudit("A feature is not finite, so the labels cannot be audited. Check the backbone's weights.")
    return np.asarray(values, np.float32)
