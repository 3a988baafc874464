"""Nearest patches in feature space, from other groups: how many of them carry the other label."""

from __future__ import annotations

import numpy as np

from steel_training.labels.out_of_fold import Features

NEIGHBOURS = 10
# Distances among a thousand channels take most of the time, and nearly all of them lie along a few directions.
_DIRECTIONS = 64
_MEASURED_FROM = 20_000
_BATCH = 4096
_DISTANCES_AT_ONCE = 20_000_000


def contradicting_neighbours(
    features: Features, labels: np.ndarray, groups: np.ndarray, *, neighbours: int = NEIGHBOURS, seed: int = 0
) -> np.ndarray:
    """Return the share of each patch's nearest neighbours that carry the other label.

    Features are standardised, and projected to their first principal components. Patches of the same group do not count: they
    show the same steel, often under the same wrong label.

    Args:
        features: of the patches, by their position.
        labels: 0 or 1, int (n,).
        groups: of the patches, (n,).
        neighbours: number of nearest patches.
        seed: of the sample from which the components are computed.

    Returns:
        float (n,), 0 to 1; NaN for a patch with no patch of another group.
    """
    points = _projected(features, len(labels), seed)
    _, group = np.unique(groups, return_inverse=True)
    squares = np.einsum("ij,ij->i", points, points)
    shares = np.full(len(labels), np.nan)
    batch = max(1, _DISTANCES_AT_ONCE // len(labels))
    for start in range(0, len(labels), batch):
        rows = slice(start, start + batch)
        distance = squares - 2 * points[rows] @ points.T
        distance[group[rows, None] == group] = np.inf
        count = min(neighbours, len(labels) - 1)
        nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
        known = np.isfinite(np.take_along_axis(distance, nearest, axis=1))
        other = (labels[nearest] != labels[rows, None]) & known
        with np.errstate(invalid="ignore"):
            shares[rows] = other.sum(axis=1) / known.sum(axis=1)
    return shares


def _projected(features: Features, count: int, seed: int) -> np.ndarray:
    """Return the patches along the first principal components of their standardised features, float32 (n, directions)."""
    sample = np.sort(np.random.default_rng(seed).permutation(count)[:_MEASURED_FROM])
    values = np.asarray(features(sample), np.float32)
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0)
    standardised = ((values - mean) * scale).astype(np.float32)
    _, directions = np.linalg.eigh(standardised.T @ standardised)
    directions = (directions[:, -_DIRECTIONS:] * scale[:, None]).astype(np.float32)
    parts = [
        (np.asarray(features(np.arange(start, min(start + _BATCH, count))), np.float32) - mean.astype(np.float32))
        @ directions
        for start in range(0, count, _BATCH)
    ]
    return np.concatenate(parts)
