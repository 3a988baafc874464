"""Appends rows to a row store up to a number; killed by `test_row_store.py` meanwhile.

Run by `runpy` in a forked process, which has loaded what this needs. Globals that it gets: `folder`, a `Path`; `count`, the rows
that the store is to have in the end; `started`, an event that it sets.
"""

from __future__ import annotations

import numpy as np

from steel_training.training.feature_cache.row_store import RowStore

row_store = RowStore(folder)  # noqa: F821
started.set()  # noqa: F821
for start in range(len(row_store.rows), count, 10):  # noqa: F821
    numbers = np.arange(start, min(start + 10, count))  # noqa: F821
    maps = np.repeat(numbers.astype(np.float32), 5000).reshape(-1, 50, 100)
    row_store.append([int(number).to_bytes(16, "big") for number in numbers], [maps, maps[:, 0]])
    if start % 30 == 0:
        row_store.commit()
row_store.commit()
row_store.close()
