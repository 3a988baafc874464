"""Drift: a dataset is like itself, a darker lamp is seen, and the index behaves as its formula says."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.drift import DRIFTED_ABOVE, EDGES, Reading, compare, population_stability, reading_of, summarise


def profile(
    patches: int = 600, *, seed: int = 0, darker: float = 0.0, defective: float = 0.2, side: int = 64
) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "label": (random.random(patches) < defective).astype(int),
            "brightness": random.normal(120 - darker, 12, patches),
            "contrast": random.normal(20, 4, patches),
            "sharpness": random.lognormal(5, 0.5, patches),
            "width": side,
            "height": side,
            "format": "PNG",
        }
    )


def found(before: pd.DataFrame, now: pd.DataFrame) -> dict[str, Reading]:
    return {drift.name: drift.reading for drift in compare(summarise(before), summarise(now))}


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


def test_a_summary_is_small_json_whatever_the_number_of_patches() -> None:
    text = json.dumps(summarise(profile(50_000)), allow_nan=False)
    assert len(text) < 4_000
    assert compare(json.loads(text), json.loads(text))[0].psi == 0


def test_unreadable_patches_and_missing_columns_are_left_out() -> None:
    broken = profile()
    broken.loc[:9, ["brightness", "width"]] = np.nan
    summary = summarise(broken)
    assert sum(summary["histograms"]["brightness"]) == 590
    assert sum(summary["shares"]["size"].values()) == 590
    assert {drift.name for drift in compare(summarise(broken[["brightness"]]), summary)} == {"brightness"}
    assert compare({}, summary) == []


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
    summary = summarise(pd.DataFrame(dict.fromkeys(EDGES, values)))
    assert {sum(counts) for counts in summary["histograms"].values()} == {len(values)}
    assert all(drift.psi == 0 for drift in compare(summary, summary))
