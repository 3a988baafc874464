"""Calibration: the shift of the class weights is undone, and calibrated scores have no calibration error."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.config import ClassWeights
from steel_training.evaluation.calibration import calibration, probability, shift_of

SHIFT = shift_of(ClassWeights())


def test_default_class_weights_shift_by_ln_4() -> None:
    assert pytest.approx(math.log(4)) == SHIFT
    assert probability(np.array([0.8]), SHIFT)[0] == pytest.approx(0.5)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_probabilities_keep_order_and_stay_within_bounds(values: list[float]) -> None:
    scores = np.sort(values)
    found = probability(scores, SHIFT)
    assert np.all(np.diff(found) >= 0)
    assert np.all((found > 0) & (found < 1))


def test_weighted_scores_are_calibrated_after_the_shift() -> None:
    random = np.random.default_rng(0)
    honest = random.beta(0.4, 1.5, 40_000)
    labels = (random.random(40_000) < honest).astype(int)
    weighted = 4 * honest / (4 * honest + 1 - honest)
    assert calibration(labels, probability(weighted, SHIFT), SHIFT).ece < 0.01
    assert calibration(labels, weighted, 0.0).ece > 0.1


@given(st.integers(0, 1000), st.integers(1, 300), st.booleans())
def test_bins_hold_every_patch_once_and_keep_ties(seed: int, patches: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    values = random.random(patches)
    values = np.round(values, 1) if ties else values
    bins = calibration((random.random(patches) < values).astype(int), values, 0.0).bins
    assert sum(each.patches for each in bins) == patches
    assert all(a.high < b.low for a, b in pairwise(bins))
    assert all(each.low <= each.predicted + 1e-9 and each.predicted <= each.high + 1e-9 for each in bins)
