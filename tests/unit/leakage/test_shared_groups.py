"""Groups and source images that straddle splits are named, and so are patches without source_id."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from steel_training.leakage.shared_groups import shared_groups


@pytest.fixture
def profile() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patch_id": [f"p{i}" for i in range(120)],
            "source_id": pd.array([f"s{i // 4}" for i in range(120)], dtype="string"),
            "group": [f"g{i // 12}" for i in range(120)],
            "part": [("train", "train", "val", "test", "train")[i // 12 % 5] for i in range(120)],
        }
    )


def test_groups_within_one_split_pass(profile: pd.DataFrame) -> None:
    assert shared_groups(profile).passed
    assert shared_groups(profile.assign(group=profile["group"].str[1:].astype(int), source_id=range(120))).passed


@pytest.mark.parametrize(
    "leak",
    [
        lambda p: p.assign(part=np.where(p.index == 0, "test", p["part"])),
        lambda p: p.assign(source_id=np.where(p.index == 30, "s0", p["source_id"])),
        lambda p: p.assign(source_id=p["source_id"].mask(p.index == 5)),
        lambda p: p.assign(source_id=p["source_id"].mask(p.index < 12), group=p["group"].mask(p.index < 12)),
        lambda p: p.assign(part=np.random.default_rng(1).permutation(p["part"])),
    ],
    ids=[
        "group in two parts",
        "photograph in two groups",
        "no photograph named",
        "neither named",
        "random split of overlapping cuts",
    ],
)
def test_straddling_groups_and_sources_are_a_leak(leak, profile: pd.DataFrame) -> None:
    probe = shared_groups(leak(profile))
    assert (probe.code, probe.blocks) == ("leak.group", True)
    assert probe.statistic > 0
    assert "source_id" in probe.message
