"""With evidence `bound`, a model below the recall target passes at most once in twenty, clustered misses or not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[3] / "benchmarks" / "gate_power.py"
TRIALS = 1500


@pytest.fixture(scope="module")
def power() -> Any:
    spec = importlib.util.spec_from_file_location("gate_power", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("size", "correlation"), [(1, 0.0), (4, 0.2)])
def test_gate_power_of_bad_and_good_models(power, size, correlation) -> None:
    shares = power.table(size, correlation, trials=TRIALS, seed=1, defects=(60, 100, 300, 1000), resamples=200)
    chance = 2.6 * (0.05 * 0.95 / TRIALS) ** 0.5  # of this number of trials
    for (evidence, recall, defects), share in shares.items():
        if evidence == "bound" and recall < 0.95:
            assert share <= 0.05, (recall, defects, share)
        if evidence == "bound" and recall == 0.95:
            assert share <= 0.05 + chance, (defects, share)
    assert shares["bound", 0.98, 1000] > 0.9
    assert shares["point", 0.93, 100] > 0.2, "what evidence point cannot promise"
