"""Splits: no group in two of them, both classes in each, reproducible from the seed, and nothing is guessed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.data.splits import SPLITS, TEST, TRAIN, VAL, CannotSplit, assign_splits


def manifest(groups: int, per_group: int, *, seed: int = 0, share: float = 0.3) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = groups * per_group
    return pd.DataFrame(
        {
            "patch_id": [f"p{i}" for i in range(rows)],
            "label": (random.random(rows) < share).astype(int),
            "source_id": [f"photo{i // 2}" for i in range(rows)],
            "group_id": [f"coil{i // per_group}" for i in range(rows)],
        }
    )


def splits_of(table: pd.DataFrame, seed: int = 20, val: float = 0.2, test: float = 0.2) -> pd.Series:
    return assign_splits(table, seed=seed, val_share=val, test_share=test)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(12, 60), st.integers(2, 12).map(lambda n: 2 * n), st.integers(0, 10_000), st.sampled_from([0.1, 0.2])
)
def test_groups_stay_together_and_classes_everywhere(groups: int, size: int, seed: int, share: float) -> None:
    table = manifest(groups, size, seed=seed)
    try:
        split = splits_of(table, seed=seed, val=share, test=share)
    except CannotSplit:
        return  # fewer groups of a class than folds
    assert set(split) == set(SPLITS)
    assert split.groupby(table["group_id"]).nunique().max() == 1
    for name in SPLITS:
        assert set(table.loc[split == name, "label"]) == {0, 1}
    assert split.equals(splits_of(table, seed=seed, val=share, test=share)), "the same seed gives the same splits"


def test_shares_and_class_ratio_are_kept() -> None:
    table = manifest(200, 10)
    split = splits_of(table)
    for name, share in ((TRAIN, 0.6), (VAL, 0.2), (TEST, 0.2)):
        assert (split == name).mean() == pytest.approx(share, abs=0.03)
        assert table.loc[split == name, "label"].mean() == pytest.approx(table["label"].mean(), abs=0.03)
    assert not split.equals(splits_of(table, seed=21))


def test_source_is_the_group_without_group_id() -> None:
    table = manifest(60, 10)
    table.loc[table.index[::2], "group_id"] = pd.NA
    split = splits_of(table.assign(group_id=pd.Series(pd.NA, index=table.index, dtype="string")))
    assert split.groupby(table["source_id"]).nunique().max() == 1
    assert splits_of(table.drop(columns="group_id")).equals(split)


def test_given_split_is_kept_and_val_comes_from_train() -> None:
    table = manifest(60, 10)
    whole = table.assign(split=np.resize([TRAIN, VAL, TEST], len(table)))
    assert splits_of(whole).tolist() == whole["split"].tolist()
    given_two = table.assign(split=np.where(table["group_id"].isin([f"coil{i}" for i in range(12)]), TEST, TRAIN))
    split = splits_of(given_two)
    assert (split == TEST).tolist() == (given_two["split"] == TEST).tolist()
    assert set(split) == set(SPLITS)
    assert split.groupby(table["group_id"]).nunique().max() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="label"), "column label is missing"),
        (lambda t: t.drop(columns="source_id"), "column source_id is missing"),
        (lambda t: t.assign(label=2), "labels other than 0 and 1"),
        (lambda t: t.assign(label=0), "0 groups contain defective patches; at least 5 are needed"),
        (lambda t: t.assign(group_id="one"), "1 groups contain clean patches"),
        (lambda t: t.drop(columns="group_id").assign(source_id=pd.NA), "rows without source_id"),
        (lambda t: t.head(0), "0 groups contain clean patches"),
    ],
)
def test_unsplittable_manifest_is_explained(change, message: str) -> None:
    with pytest.raises(CannotSplit, match=message):
        splits_of(change(manifest(30, 10)))
