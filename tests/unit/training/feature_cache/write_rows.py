"""Appends rows to a row store up to a number; killed by `test_row_store.py` meanwhile."""

from __future__ import annotations

from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from steel_training.training.feature_cache.row_store import RowStore


def write_rows(folder: Path, count: int, started: Event) -> None:
    """Sets `started` as soon as the row store is open, and closes it when it has `count` rows."""
    row_store = RowStore(folder)
    started.set()
    for start in range(len(row_store.rows), count, 10):
        numbers = np.arange(start, min(start + 10, count))
        maps = np.repeat(numbers.astype(np.float32), 5000).reshape(-1, 50, 100)
        row_store.append([int(number).to_bytes(16, "big") for number in numbers], [maps, maps[:, 0]])
        if start % 30 == 0:
            row_store.commit()
    row_store.commit()
    row_store.close()
