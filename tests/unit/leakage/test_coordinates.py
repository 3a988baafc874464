"""Overlap by coordinates, and classes cut on different grids, are named; a regular grid is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.leakage.coordinates import coordinates


def on_a_grid(sources: int = 30, side: int = 64) -> pd.DataFrame:
    random = np.random.default_rng(5)
    rows = [
        {"source_id": f"s{number}", "x": x, "y": y, "label": int(random.random() < 0.3)}
        for number in range(sources)
        for y in range(0, 4 * side, side)
        for x in range(0, 4 * side, side)
    ]
    table = pd.DataFrame(rows)
    table["source_id"] = table["source_id"].astype("string")
    table["part"] = np.array(["train", "train", "val", "test"])[table["source_id"].str[1:].astype(int) % 4]
    names = [f"p{row}" for row in range(len(table))]
    return table.assign(patch_id=names, group=table["source_id"], width=side, height=side)


def test_patches_on_a_regular_grid_pass() -> None:
    probe = coordinates(on_a_grid())
    assert (probe.passed, probe.judged) == (True, True)


def test_overlap_across_splits_blocks_and_is_named() -> None:
    table = on_a_grid()
    copy = table.iloc[[17]].assign(patch_id="again", part="test", x=table["x"].iloc[17] + 32)
    assert table["part"].iloc[17] != "test"
    probe = coordinates(pd.concat([table, copy], ignore_index=True))
    assert probe.blocks
    assert {"again"} <= {name for row in probe.evidence["pairs"] for name in (row["first"], row["second"])}


@given(st.integers(-70, 70), st.integers(-70, 70))
def test_patches_overlap_iff_they_share_a_pixel(dy: int, dx: int) -> None:
    pair = on_a_grid(1).iloc[[5, 5]].reset_index(drop=True)
    pair.loc[1, ["x", "y"]] = [pair["x"].iloc[0] + dx, pair["y"].iloc[0] + dy]
    pair["part"], pair["patch_id"] = ["train", "test"], ["one", "other"]
    assert coordinates(pair).blocks == (abs(dx) < 64 and abs(dy) < 64)


def test_touching_patches_are_left_to_the_group_probe() -> None:
    table = on_a_grid()
    table.loc[table["x"] >= 128, "part"] = "test"
    assert not coordinates(table).blocks


def test_class_cut_on_another_grid_blocks() -> None:
    table = on_a_grid()
    table.loc[table["label"] == 1, ["x", "y"]] += np.array([3, 5])
    probe = coordinates(table)
    assert probe.blocks
    assert probe.evidence["usual place on the grid"] == {"label 0": "0, 0", "label 1": "3, 5"}


def test_position_that_predicts_the_label_only_warns() -> None:
    table = on_a_grid()
    table["label"] = (table["x"] == 0).astype(int)
    probe = coordinates(table)
    assert (probe.passed, probe.blocks) == (False, False)
    assert "position in the source image" in probe.message


@pytest.mark.parametrize("change", [{"x": np.nan}, {"y": "left"}, {"source_id": pd.NA}])
def test_unusable_coordinates_are_no_alarm(change: dict[str, object]) -> None:
    table = on_a_grid().astype({"y": object}).assign(**change)
    assert coordinates(table).passed
    assert coordinates(table.drop(columns=next(iter(change)))).passed
