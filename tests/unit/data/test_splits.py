"""Parts: no group in two of them, both classes in each, the same seed gives the same parts, and nothing is guessed."""

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


def parts_of(table: pd.DataFrame, seed: int = 20, val: float = 0.2, test: float = 0.2) -> pd.Series:
    return assign_splits(table, seed=seed, val_share=val, test_share=test)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(12, 60), st.integers(2, 12).map(lambda n: 2 * n), st.integers(0, 10_000), st.sampled_from([0.1, 0.2])
)
def test_no_group_straddles_and_every_part_has_both_classes(groups: int, size: int, seed: int, share: float) -> None:
    table = manifest(groups, size, seed=seed)
    try:
        part = parts_of(table, seed=seed, val=share, test=share)
    except CannotSplit:
        return  # fewer groups of a class than folds
    assert set(part) == set(SPLITS)
    assert part.groupby(table["group_id"]).nunique().max() == 1
    for name in SPLITS:
        assert set(table.loc[part == name, "label"]) == {0, 1}
    assert part.equals(parts_of(table, seed=seed, val=share, test=share)), "the same seed gives the same parts"


def test_the_shares_are_those_asked_for_and_the_classes_keep_their_ratio() -> None:
    table = manifest(200, 10)
    part = parts_of(table)
    for name, share in ((TRAIN, 0.6), (VAL, 0.2), (TEST, 0.2)):
        assert (part == name).mean() == pytest.approx(share, abs=0.03)
        assert table.loc[part == name, "label"].mean() == pytest.approx(table["label"].mean(), abs=0.03)
    assert not part.equals(parts_of(table, seed=21))


def test_the_photograph_is_the_group_where_nothing_coarser_is_known() -> None:
    table = manifest(60, 10)
    table.loc[table.index[::2], "group_id"] = pd.NA
    part = parts_of(table.assign(group_id=pd.Series(pd.NA, index=table.index, dtype="string")))
    assert part.groupby(table["source_id"]).nunique().max() == 1
    assert parts_of(table.drop(columns="group_id")).equals(part)


def test_a_given_split_is_used_as_it_stands_and_validation_is_never_cut_from_the_test_part() -> None:
    table = manifest(60, 10)
    whole = table.assign(split=np.resize([TRAIN, VAL, TEST], len(table)))
    assert parts_of(whole).tolist() == whole["split"].tolist()
    given_two = table.assign(split=np.where(table["group_id"].isin([f"coil{i}" for i in range(12)]), TEST, TRAIN))
    part = parts_of(given_two)
    assert (part == TEST).tolist() == (given_two["split"] == TEST).tolist()
    assert set(part) == set(SPLITS)
    assert part.groupby(table["group_id"]).nunique().max() == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="label"), "column label is missing"),
        (lambda t: t.drop(columns="source_id"), "column source_id is missing"),
        (lambda t: t.assign(label=2), "labels other than 0 and 1"),
        (lambda t: t.assign(label=0), "0 groups hold defective patches; at least 5 are needed"),
        (lambda t: t.assign(group_id="one"), "1 groups hold clean patches"),
        (lambda t: t.drop(columns="group_id").assign(source_id=pd.NA), "rows without source_id"),
        (lambda t: t.head(0), "0 groups hold clean patches"),
    ],
)
def test_what_cannot_be_split_is_told(change, said: str) -> None:
    with pytest.raises(CannotSplit, match=said):
        parts_of(change(manifest(30, 10)))
