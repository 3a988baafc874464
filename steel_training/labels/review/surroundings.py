"""The surroundings of a patch in its source image, put together from the other patches that were cut from it.

The source images are no part of a dataset. Where the manifest says where patches were cut (`source_id`, `x`, `y`), those of the same source
image show what lies around a patch; what none of them covers stays empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np
import pandas as pd

from steel_training.labels.review.sheet import Placed

_CELLS = 4
"""Cells per side of a patch, in which it is counted what is covered already."""

_MOST = 24
"""Patches that are shown around one; of overlapping patches those that cover most."""


class Surroundings:
    """Where the patches of a dataset lie."""

    def __init__(self, manifest: pd.DataFrame, width: int, height: int) -> None:
        """Sort the patches by source image.

        Args:
            manifest: of the dataset.
            width: of a patch in pixels.
            height: of a patch in pixels.
        """
        self._paths = manifest["path"].astype(str).to_numpy()
        self._of: dict[int, np.ndarray] = {}
        if not {"x", "y"} <= set(manifest):
            return
        across, along = (pd.to_numeric(manifest[name], errors="coerce").to_numpy(float) for name in ("x", "y"))
        self._at = np.stack([across / width, along / height], axis=1)
        known = np.flatnonzero(np.isfinite(self._at).all(axis=1) & manifest["source_id"].notna().to_numpy())
        sources = manifest["source_id"].astype(str).to_numpy()[known]
        _, number = np.unique(sources, return_inverse=True)
        order = np.argsort(number, kind="stable")
        for rows in np.split(known[order], np.flatnonzero(np.diff(number[order])) + 1):
            self._of |= dict.fromkeys(rows.tolist(), rows)

    def of(self, row: int) -> tuple[Placed, ...]:
        """Return the patches around one, nearest first, and itself not.

        Args:
            row: position in the manifest.
        """
        rows = self._of.get(row)
        if rows is None:
            return ()
        offsets = self._at[rows] - self._at[row]
        near = (np.abs(offsets) < 2).all(axis=1) & (np.abs(offsets) > 0).any(axis=1)
        rows, offsets = rows[near], offsets[near]
        # Patches side by side before those that lie half on others.
        order = np.lexsort((np.abs(offsets).sum(axis=1), np.abs(offsets - np.round(offsets)).sum(axis=1)))
        covered = set(_cells(0.0, 0.0))
        found = []
        for place in order[: 20 * _MOST]:
            right, down = map(float, offsets[place])
            cells = set(_cells(right, down))
            if not cells <= covered:
                covered |= cells
                found.append(Placed(str(self._paths[rows[place]]), round(right, 4), round(down, 4)))
            if len(found) == _MOST:
                break
        return tuple(sorted(found, key=lambda each: abs(each.right) + abs(each.down)))


def _cells(right: float, down: float) -> Iterable[tuple[int, int]]:
    """Return the cells, within a patch's size around the reviewed one, that a patch covers most of."""
    starts = [round((offset + 1) * _CELLS) for offset in (right, down)]
    across, along = (range(max(start, 0), min(start + _CELLS, 3 * _CELLS)) for start in starts)
    return product(across, along)
