"""Two models on the same patches: what makes a photograph hard for both drops out of their difference."""

from __future__ import annotations

import numpy as np
import pytest

from steel_training.comparison import Contender, compare

RANDOM = np.random.default_rng(0)
LABELS = np.arange(1200) % 2
GROUPS = np.arange(1200) // 12
HARD = np.repeat(RANDOM.normal(0, 1, 100), 12)
SCORES = 1 / (1 + np.exp(-(2 * LABELS - 1 + HARD * (2 * LABELS - 1) + 0.3 * RANDOM.standard_normal(1200))))
BOUNDS = {"confidence": 0.95, "resamples": 400, "seed": 0}


def test_a_model_does_not_differ_from_itself() -> None:
    found = compare(LABELS, GROUPS, Contender(SCORES, 0.5), Contender(SCORES, 0.5), **BOUNDS).difference
    assert all((each.value, each.bound) == (0, 0) for each in found.values())


def test_the_difference_is_paired_by_group() -> None:
    worse = np.where(RANDOM.random(1200) < 0.02, 0.0, SCORES)
    found = compare(LABELS, GROUPS, Contender(SCORES, 0.5), Contender(worse, 0.5), **BOUNDS)
    difference = found.difference["recall"]
    assert difference.value == pytest.approx(np.mean(SCORES[LABELS == 1] >= 0.5) - found.theirs["recall"])
    assert 0 < difference.bound < difference.value, "a small difference shows although photographs differ far more"


def test_the_sign_says_who_is_better() -> None:
    found = compare(LABELS, GROUPS, Contender(RANDOM.random(1200), 0.5), Contender(SCORES, 0.5), **BOUNDS)
    assert all(each.bound < each.value < 0 for each in found.difference.values())


def test_a_rival_whose_scores_are_not_numbers_has_no_figures_that_could_pass_for_some() -> None:
    found = compare(LABELS, GROUPS, Contender(SCORES, 0.5), Contender(np.full(1200, np.nan), 0.5), **BOUNDS).as_dict()
    assert found["auc"] is None
    assert found["difference"]["auc"]["value"] is None
    assert found["precision"] == 0.0
