"""Appends rows to a row store up to a number; killed by `test_row_store.py` meanwhile.

python write_rows.py FOLDER COUNT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from steel_training.training.feature_cache.row_store import RowStore

row_store = RowStore(Path(sys.argv[1]))
sys.stdout.write("started\n")
sys.stdout.flush()
for start in range(len(row_store.rows), int(sys.argv[2]), 10):
    numbers = np.arange(start, min(start + 10, int(sys.argv[2])))
    maps = np.repeat(numbers.astype(np.float32), 5000).reshape(-1, 50, 100)
    row_store.append([int(number).to_bytes(16, "big") for number in numbers], [maps, maps[:, 0]])
    if start % 30 == 0:
        row_store.commit()
row_store.commit()
row_store.close()
