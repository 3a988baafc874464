"""Aggregates patches to source images: defective if any patch is, with the highest score of its patches."""

from __future__ import annotations

import numpy as np


def by_source(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, sources: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, scores and groups of source images, (sources,) each.

    Args:
        labels: int (n,), of the patches.
        scores: float (n,).
        groups: (n,); a source image is in one group.
        sources: (n,), source image of every patch.
    """
    _, first, source = np.unique(sources, return_index=True, return_inverse=True)
    highest, any_defect = np.full(len(first), -np.inf), np.zeros(len(first), int)
    np.maximum.at(highest, source, scores)
    np.maximum.at(any_defect, source, labels)
    return any_defect, highest, groups[first]
