"""Identical patches that carry both labels: one of the two is wrong, whatever a model says."""

from __future__ import annotations

import numpy as np
import pandas as pd


def contradicted_copies(labels: np.ndarray, scores: np.ndarray, pixels: pd.Series) -> np.ndarray:
    """Return which labels an identical patch contradicts.

    Of identical patches with both labels, those with the rarer label are marked; where both are as frequent, those that their
    score contradicts more.

    Args:
        labels: 0 or 1, int (n,).
        scores: out of fold, higher for defects, float (n,).
        pixels: hash of the pixels of every patch, text (n,); empty or missing where copies do not count, as for blank patches.

    Returns:
        bool (n,).
    """
    table = pd.DataFrame({"pixels": pixels.astype("string").to_numpy(), "label": labels, "score": scores})
    known = table[table["pixels"].notna() & (table["pixels"] != "")]
    marked = np.zeros(len(labels), bool)
    for _, alike in known.groupby("pixels", sort=False):
        defective = int(alike["label"].sum())
        clean = len(alike) - defective
        if not clean or not defective:
            continue
        likely = int(alike["score"].mean() >= 0.5) if clean == defective else int(defective > clean)
        marked[alike.index[alike["label"] != likely]] = True
    return marked
