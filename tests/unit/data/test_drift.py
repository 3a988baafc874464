"""Drift: samples of one population are stable, darker lighting is detected, and the index follows its formula."""

from __future__ import annotations

import json
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.data.drift import (
    DRIFTED_ABOVE,
    EDGES,
    WHOLE,
    Reading,
    compare,
    population_stability,
    reading_of,
    summarise,
)


def profile(
    patches: int = 600,
    *,
    seed: int = 0,
    darker: float = 0.0,
    defective: float = 0.2,
    side: int = 64,
    groups: int = 100,
    apart: float = 0.0,
) -> pd.DataFrame:
    """Patches of coils whose mean brightness varies by `apart` (standard deviation, grey values)."""
    random = np.random.default_rng(seed)
    group = np.arange(patches) % groups
    return pd.DataFrame(
        {
            "group": group.astype(str),
            "part": np.array(["train", "train", "train", "val", "test"])[group % 5],
            "label": (random.random(patches) < defective).astype(int),
            "brightness": random.normal(120 - darker, 12, patches) + random.normal(0, apart, groups)[group],
            "contrast": random.normal(20, 4, patches),
            "sharpness": random.lognormal(5, 0.5, patches),
            "width": side,
            "height": side,
            "format": "PNG",
        }
    )


def found(before: pd.DataFrame, now: pd.DataFrame) -> dict[str, Reading]:
    return {drift.name: drift.reading for drift in compare(summarise(before), now) if drift.part == WHOLE}


def test_samples_of_one_population_are_stable() -> None:
    readings = found(profile(seed=1), profile(seed=2))
    assert set(readings) == {"brightness", "contrast", "sharpness", "class", "size", "format"}
    assert set(readings.values()) == {Reading.STABLE}


@pytest.mark.parametrize(
    ("changed", "name"),
    [({"darker": 15.0}, "brightness"), ({"defective": 0.6}, "class"), ({"side": 96}, "size")],
)
def test_only_the_changed_property_has_drifted(changed: dict[str, float], name: str) -> None:
    readings = found(profile(seed=1), profile(seed=2, **changed))  # type: ignore[arg-type]
    assert {key for key, reading in readings.items() if reading is Reading.DRIFTED} == {name}


def test_slightly_darker_lighting_is_a_shift() -> None:
    assert found(profile(5000, seed=1), profile(5000, seed=2, darker=5.0))["brightness"] is Reading.SHIFTED


def test_coil_variation_is_no_drift_but_new_lighting_is() -> None:
    """Few coils, each homogeneous: by the index alone, data without drift would count as drifted."""
    pairs = [
        (profile(seed=2 * i, groups=12, apart=20), profile(seed=2 * i + 1, groups=12, apart=20)) for i in range(20)
    ]
    bare = [population_stability_of(before, now) for before, now in pairs]
    assert sum(psi > DRIFTED_ABOVE for psi in bare) >= 5
    assert sum(found(*pair)["brightness"] is Reading.DRIFTED for pair in pairs) <= 1
    darker = [profile(seed=50 + i, groups=12, apart=20, darker=60) for i in range(20)]
    assert (
        sum(found(pair[0], now)["brightness"] is Reading.DRIFTED for pair, now in zip(pairs, darker, strict=True)) >= 18
    )


def population_stability_of(before: pd.DataFrame, now: pd.DataFrame) -> float:
    return next(each.psi for each in compare(summarise(before), now) if (each.name, each.part) == ("brightness", WHOLE))


def test_a_single_changed_split_is_named() -> None:
    now = profile(3000, seed=2)
    now.loc[now["part"] == "test", "brightness"] -= 20
    drifted = {
        (each.name, each.part)
        for each in compare(summarise(profile(3000, seed=1)), now)
        if each.reading is Reading.DRIFTED
    }
    assert drifted == {("brightness", "test")}


def test_too_few_groups_have_no_chance_level_and_no_alarm() -> None:
    compared = compare(summarise(profile(seed=1)), profile(seed=2, groups=4, darker=60))
    assert {(each.chance, each.beyond_chance) for each in compared} == {(None, 0.0)}


def test_summary_without_group_count_is_compared() -> None:
    old = {key: value for key, value in summarise(profile(seed=1)).items() if key != "groups"}
    assert {each.reading for each in compare(old, profile(seed=2))} == {Reading.STABLE}


def test_200000_patches_are_compared_in_seconds() -> None:
    many = profile(200_000, groups=40_000)
    began = time.process_time()
    compare(summarise(many), many)
    assert time.process_time() - began < 60, "measured: 2 to 4 s"


def test_summary_is_small_json_for_many_patches() -> None:
    many = profile(50_000)
    text = json.dumps(summarise(many), allow_nan=False)
    assert len(text) < 4_000
    assert {each.psi for each in compare(json.loads(text), many) if each.part == WHOLE} == {0}


def test_unreadable_patches_and_columns_are_skipped() -> None:
    broken = profile()
    broken.loc[:9, ["brightness", "width"]] = np.nan
    summary = summarise(broken)
    assert sum(summary["histograms"]["brightness"]) == 590
    assert sum(summary["shares"]["size"].values()) == 590
    assert {drift.name for drift in compare(summarise(broken[["brightness"]]), broken)} == {"brightness"}
    assert compare({}, broken) == []


@pytest.mark.parametrize(
    ("psi", "reading"),
    [
        (0.0, Reading.STABLE), (0.0999, Reading.STABLE), (0.1, Reading.SHIFTED), (DRIFTED_ABOVE, Reading.SHIFTED),
        (0.2501, Reading.DRIFTED), (float("nan"), Reading.DRIFTED),
    ],
)  # fmt: skip
def test_index_thresholds_are_inclusive_as_documented(psi: float, reading: Reading) -> None:
    assert reading_of(psi) is reading


def test_index_matches_the_formula() -> None:
    before, now = np.array([70_000.0, 30_000.0]), np.array([50_000.0, 50_000.0])
    assert population_stability(before, now) == pytest.approx(0.2 * np.log(1.4) + 0.2 * np.log(1 / 0.6), rel=1e-3)


COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=20).filter(any)


@given(COUNTS, st.randoms(use_true_random=False))
def test_index_is_symmetric_and_non_negative(counts: list[int], random) -> None:
    other = [*counts]
    random.shuffle(other)
    before, now = np.array(counts, float), np.array(other, float)
    there, back = population_stability(before, now), population_stability(now, before)
    assert there == pytest.approx(back)
    assert there >= 0
    assert population_stability(before, before) == 0


@given(st.lists(st.floats(-10, 1e7), min_size=1, max_size=50))
def test_every_value_is_counted_in_one_bin(values: list[float]) -> None:
    measured = pd.DataFrame(dict.fromkeys(EDGES, values))
    summary = summarise(measured)
    assert {sum(counts) for counts in summary["histograms"].values()} == {len(values)}
    assert all(drift.psi == 0 for drift in compare(summary, measured))
