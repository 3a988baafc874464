"""Drift: a dataset is like itself, a darker lamp is seen, and the index behaves as its formula says."""

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
    """Patches of coils whose brightness lies `apart` (a standard deviation of grey values) from each other."""
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


def test_two_samples_of_one_population_are_stable_in_everything() -> None:
    readings = found(profile(seed=1), profile(seed=2))
    assert set(readings) == {"brightness", "contrast", "sharpness", "class", "size", "format"}
    assert set(readings.values()) == {Reading.STABLE}


@pytest.mark.parametrize(
    ("changed", "name"),
    [({"darker": 15.0}, "brightness"), ({"defective": 0.6}, "class"), ({"side": 96}, "size")],
)
def test_what_changed_has_drifted_and_nothing_else(changed: dict[str, float], name: str) -> None:
    readings = found(profile(seed=1), profile(seed=2, **changed))  # type: ignore[arg-type]
    assert {key for key, reading in readings.items() if reading is Reading.DRIFTED} == {name}


def test_a_slightly_darker_lamp_is_a_shift() -> None:
    assert found(profile(5000, seed=1), profile(5000, seed=2, darker=5.0))["brightness"] is Reading.SHIFTED


def test_coils_that_differ_by_chance_are_no_drift_and_a_new_lamp_still_is() -> None:
    """Few coils, each alike in itself: the index alone would call honest data drifted."""
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


def test_a_part_that_changed_alone_is_named() -> None:
    now = profile(3000, seed=2)
    now.loc[now["part"] == "test", "brightness"] -= 20
    drifted = {
        (each.name, each.part)
        for each in compare(summarise(profile(3000, seed=1)), now)
        if each.reading is Reading.DRIFTED
    }
    assert drifted == {("brightness", "test")}


def test_too_few_groups_to_draw_from_are_no_alarm_and_say_so() -> None:
    compared = compare(summarise(profile(seed=1)), profile(seed=2, groups=4, darker=60))
    assert {(each.chance, each.beyond_chance) for each in compared} == {(None, 0.0)}


def test_a_champion_of_before_groups_were_kept_is_compared_as_well() -> None:
    old = {key: value for key, value in summarise(profile(seed=1)).items() if key != "groups"}
    assert {each.reading for each in compare(old, profile(seed=2))} == {Reading.STABLE}


def test_two_hundred_thousand_patches_are_compared_in_seconds() -> None:
    many = profile(200_000, groups=40_000)
    began = time.process_time()
    compare(summarise(many), many)
    assert time.process_time() - began < 60, "measured: 8 to 12 s"


def test_a_summary_is_small_json_whatever_the_number_of_patches() -> None:
    many = profile(50_000)
    text = json.dumps(summarise(many), allow_nan=False)
    assert len(text) < 4_000
    assert {each.psi for each in compare(json.loads(text), many) if each.part == WHOLE} == {0}


def test_unreadable_patches_and_missing_columns_are_left_out() -> None:
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
def test_an_index_is_read_as_usual(psi: float, reading: Reading) -> None:
    assert reading_of(psi) is reading


def test_the_index_is_that_of_the_formula() -> None:
    before, now = np.array([70_000.0, 30_000.0]), np.array([50_000.0, 50_000.0])
    assert population_stability(before, now) == pytest.approx(0.2 * np.log(1.4) + 0.2 * np.log(1 / 0.6), rel=1e-3)


COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=20).filter(any)


@given(COUNTS, st.randoms(use_true_random=False))
def test_the_index_is_symmetric_never_negative_and_zero_for_the_same(counts: list[int], random) -> None:
    other = [*counts]
    random.shuffle(other)
    before, now = np.array(counts, float), np.array(other, float)
    there, back = population_stability(before, now), population_stability(now, before)
    assert there == pytest.approx(back)
    assert there >= 0
    assert population_stability(before, before) == 0


@given(st.lists(st.floats(-10, 1e7), min_size=1, max_size=50))
def test_every_measured_value_is_counted_once(values: list[float]) -> None:
    measured = pd.DataFrame(dict.fromkeys(EDGES, values))
    summary = summarise(measured)
    assert {sum(counts) for counts in summary["histograms"].values()} == {len(values)}
    assert all(drift.psi == 0 for drift in compare(summary, measured))
