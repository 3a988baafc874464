"""Nearest patches in feature space, from other groups: how many carry the other label, and which are nearest of each class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steel_training.labels.out_of_fold import Features

NEIGHBOURS = 10
# Distances among a thousand channels take most of the time, and nearly all of them lie along a few directions.
_DIRECTIONS = 64
_MEASURED_FROM = 20_000
_BATCH = 4096
_DISTANCES_AT_ONCE = 20_000_000


@dataclass(frozen=True)
class Nearest:
    """The nearest patches of each class, nearest first, by `patch_id`."""

    clean: tuple[str, ...]
    defective: tuple[str, ...]


class Neighbourhood:
    """Patches in feature space: standardised, and projected to their first principal components."""

    def __init__(self, features: Features, labels: np.ndarray, groups: np.ndarray, *, seed: int = 0) -> None:
        """Project the features.

        Args:
            features: of the patches, by their position.
            labels: 0 or 1, int (n,).
            groups: of the patches, (n,). Patches of the same group do not count: they show the same steel, often under the same wrong
                label.
            seed: of the sample from which the components are computed.
        """
        self._labels = labels
        self._points = _projected(features, len(labels), seed)
        self._squares = np.einsum("ij,ij->i", self._points, self._points)
        _, self._group = np.unique(groups, return_inverse=True)

    def contradicting(self, neighbours: int = NEIGHBOURS) -> np.ndarray:
        """Return the share of each patch's nearest neighbours that carry the other label.

        Args:
            neighbours: number of nearest patches.

        Returns:
            float (n,), 0 to 1; NaN for a patch with no patch of another group.
        """
        labels = self._labels
        shares = np.full(len(labels), np.nan)
        count = min(neighbours, len(labels) - 1)
        for rows, distance in self._distances(np.arange(len(labels)), np.arange(len(labels))):
            nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
            known = np.isfinite(np.take_along_axis(distance, nearest, axis=1))
            other = (labels[nearest] != labels[rows, None]) & known
            with np.errstate(invalid="ignore"):
                shares[rows] = other.sum(axis=1) / known.sum(axis=1)
        return shares

    def nearest(self, rows: np.ndarray, names: np.ndarray, allowed: np.ndarray, count: int) -> dict[str, Nearest]:
        """Return the nearest clean and defective patches of some patches.

        Args:
            rows: positions of the patches, int (m,).
            names: of all patches, (n,).
            allowed: whether a patch may be a neighbour, bool (n,).
            count: of each class, at most.
        """
        of_class = [
            self._nearest_of(rows, np.flatnonzero(allowed & (self._labels == label)), count) for label in (0, 1)
        ]
        return {
            str(names[row]): Nearest(*(tuple(map(str, names[found])) for found in each))
            for row, *each in zip(rows, *of_class, strict=True)
        }

    def _nearest_of(self, rows: np.ndarray, among: np.ndarray, count: int) -> list[np.ndarray]:
        found: list[np.ndarray] = []
        if not len(among):
            return [among] * len(rows)
        for _, distance in self._distances(rows, among):
            order = np.argpartition(distance, min(count, len(among)) - 1, axis=1)[:, :count]
            kept = np.take_along_axis(distance, order, axis=1)
            for places, far, by_distance in zip(order, kept, np.argsort(kept, axis=1, kind="stable"), strict=True):
                found.append(among[places[by_distance][np.isfinite(far[by_distance])]])
        return found

    def _distances(self, rows: np.ndarray, among: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions (b,) and their distances to some patches, float (b, m), up to what is constant in a row; inf in the same group."""
        points, squares, group = self._points[among], self._squares[among], self._group[among]
        batch = max(1, _DISTANCES_AT_ONCE // len(among))
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            distance = squares - 2 * self._points[some] @ points.T
            distance[self._group[some, None] == group] = np.inf
            yield some, distance


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
