"""Leak probes: what stands on both sides of a split is named, and honest data passes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from steel_training.leakage import PROBES, identical_pixels, shared_groups
from steel_training.sanity import probe_dataset


def profile() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patch_id": [f"p{i}" for i in range(120)],
            "source_id": pd.array([f"s{i // 4}" for i in range(120)], dtype="string"),
            "group": [f"g{i // 12}" for i in range(120)],
            "part": [("train", "train", "val", "test", "train")[i // 12 % 5] for i in range(120)],
            "pixel_hash": [f"h{i}" for i in range(120)],
        }
    )


def test_honest_data_passes_every_probe() -> None:
    assert [probe.passed for probe in probe_dataset(profile())] == [True] * len(PROBES)


@pytest.mark.parametrize(
    "leak",
    [
        lambda p: p.assign(part=np.where(p.index == 0, "test", p["part"])),
        lambda p: p.assign(source_id=np.where(p.index == 30, "s0", p["source_id"])),
        lambda p: p.assign(source_id=p["source_id"].mask(p.index == 5)),
        lambda p: p.assign(part=np.random.default_rng(1).permutation(p["part"])),
    ],
    ids=["group in two parts", "photograph in two groups", "no photograph named", "random split of overlapping cuts"],
)
def test_groups_and_photographs_on_both_sides_are_a_leak(leak) -> None:
    probe = shared_groups(leak(profile()))
    assert (probe.code, probe.passed) == ("leak.group", False)
    assert probe.statistic > 0
    assert "source_id" in probe.message


def test_the_same_image_on_both_sides_is_a_leak_and_both_are_named() -> None:
    leaky = profile()
    leaky.loc[36, "pixel_hash"] = leaky.loc[3, "pixel_hash"]
    probe = identical_pixels(leaky)
    assert (probe.code, probe.passed, set(probe.evidence["patches"])) == ("leak.duplicate", False, {"p3", "p36"})
    beside = profile()
    beside.loc[4, "pixel_hash"] = beside.loc[3, "pixel_hash"]
    assert identical_pixels(beside).passed, "a twin in the same part gives nothing away"
    unread = profile().assign(pixel_hash=pd.array([""] * 120, dtype="string"))
    assert identical_pixels(unread).passed, "files that could not be read are no twins; validation has named them"
