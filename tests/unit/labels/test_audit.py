"""The audit as a whole, on features of known truth: what was turned comes first, and what cannot be audited is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from steel_training.labels.audit import audit
from steel_training.labels.errors import CannotAudit


def strips(patches: int = 600, *, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = (random.random(patches) < 0.3).astype(int)
    table = pd.DataFrame(
        {
            "patch_id": [f"p{number}" for number in range(patches)],
            "label": labels,
            "group": [f"coil{number // 20}" for number in range(patches)],
            "part": ["test" if number % 60 < 20 else "train" for number in range(patches)],
            "pixel_hash": [f"{number:x}" for number in range(patches)],
        }
    )
    values = random.standard_normal((patches, 30)).astype(np.float32)
    values[:, :3] += 3.0 * labels[:, None]
    return table, values


def test_turned_labels_come_first_with_the_right_one() -> None:
    table, values = strips()
    turned = np.random.default_rng(1).choice(len(table), 30, replace=False)
    table.loc[turned, "label"] = 1 - table.loc[turned, "label"]
    found = audit(table, values.__getitem__)
    assert set(found.table["row"].head(20)) <= set(turned)
    assert found.table["quality"].is_monotonic_increasing
    top = found.table.head(20)
    assert (top["suggested"] == 1 - top["label"]).all()
    assert (top["neighbours"] > 0.5).mean() > 0.9
    assert list(top["patch_id"]) == [f"p{row}" for row in top["row"]]
    said = found.as_dict()
    assert said["suspects"] == len(found.suspects) == sum(said["suspects_by_split"].values())
    for each, label in zip(found.wrong, (0, 1), strict=True):
        given = table["label"] == label
        true_share = np.isin(np.flatnonzero(given), turned).mean()
        assert (each.label, each.patches) == (label, given.sum())
        assert each.low <= true_share <= each.high


def test_test_split_rows_say_so_and_are_scored() -> None:
    table, values = strips()
    found = audit(table, values.__getitem__).table.set_index("row").sort_index()
    assert (found["split"].to_numpy() == table["part"].to_numpy()).all()
    assert np.isfinite(found["score"]).all()


def test_a_contradicted_copy_comes_before_any_score() -> None:
    table, values = strips()
    table.loc[7, "label"], table.loc[[7, 8, 9], "pixel_hash"] = 0, "same"
    table.loc[[8, 9], "label"] = 1
    first = audit(table, values.__getitem__).table.iloc[0]
    assert (first["row"], first["quality"], first["copy"], first["suggested"]) == (7, 0.0, True, 1)


def test_the_same_input_gives_the_same_table() -> None:
    table, values = strips(200)
    one, other = (audit(table, values.__getitem__).table for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


def test_features_that_say_nothing_are_refused() -> None:
    table, values = strips()
    for useless in (np.ones_like(values), np.random.default_rng(3).standard_normal(values.shape)):
        with pytest.raises(CannotAudit, match="hardly predict the label"):
            audit(table, useless.__getitem__)


def test_labels_other_than_0_and_1_are_named() -> None:
    table, values = strips()
    with pytest.raises(CannotAudit, match="1 labels are neither 0 nor 1, such as those of p5"):
        audit(table.assign(label=table["label"].where(table.index != 5, 2)), values.__getitem__)
