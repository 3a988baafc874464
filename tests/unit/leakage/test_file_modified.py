"""Files of one class written on another day are told of, and never block; files written photograph by photograph are not."""

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


def test_files_written_in_the_order_of_photographs_pass() -> None:
    assert file_modified(written()).passed


def test_defects_that_were_written_a_day_later_are_told_of_and_do_not_block() -> None:
    files = written()
    files.loc[files["label"] == 1, "modified"] += 86_400
    probe = file_modified(files)
    assert (probe.passed, probe.blocks, probe.judged) == (False, False, True)
    assert set(probe.evidence["usually written"]) == {"label 0", "label 1"}


def test_times_that_are_unknown_or_all_the_same_pass() -> None:
    assert file_modified(written().assign(modified=np.nan)).passed
    assert file_modified(written().assign(modified=1.7e9)).passed
    assert file_modified(written().drop(columns="modified")).passed
