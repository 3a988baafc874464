"""Files of one class written on another day raise a warning that never blocks; files written source by source do not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from steel_training.leakage.file_modified import file_modified


def written(patches: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(6)
    row = np.arange(patches)
    labels = (random.random(patches) < 0.3).astype(int)
    groups = [f"g{number // 20}" for number in row]
    return pd.DataFrame({"label": labels, "group": groups, "modified": 1.7e9 + 2.0 * row})


def test_files_written_in_source_order_pass() -> None:
    assert file_modified(written()).passed


def test_defects_written_a_day_later_only_warn() -> None:
    files = written()
    files.loc[files["label"] == 1, "modified"] += 86_400
    probe = file_modified(files)
    assert (probe.passed, probe.blocks, probe.judged) == (False, False, True)
    assert set(probe.evidence["usually written"]) == {"label 0", "label 1"}


def test_unknown_or_equal_times_pass() -> None:
    assert file_modified(written().assign(modified=np.nan)).passed
    assert file_modified(written().assign(modified=1.7e9)).passed
    assert file_modified(written().drop(columns="modified")).passed
