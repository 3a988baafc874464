"""Bounds: the published numbers for independent defects, and honest ones where defects of a group are missed together."""

from __future__ import annotations

import numpy as np
import pytest

from steel_training.evaluation.confidence import (
    Resamples,
    clopper_pearson,
    defects_needed,
    design_effect,
    min_defects_zero_misses,
    share_bound,
)

NEEDED = {0: 59, 1: 93, 2: 124, 3: 153, 5: 208, 10: 336, 20: 577}


@pytest.mark.parametrize(("misses", "defects"), NEEDED.items())
def test_the_bound_of_clopper_and_pearson_reaches_95_percent_at_the_published_numbers(misses, defects):
    for number, reached in ((defects, True), (defects - 1, False)):
        assert (clopper_pearson(np.array(number - misses), np.array(number), 0.95) >= 0.95) == reached
    assert defects_needed(1 - misses / defects, 0.95, 0.95) == pytest.approx(defects, abs=1)


@pytest.mark.parametrize(
    ("target", "confidence", "needed"),
    [(0.95, 0.95, 59), (0.8, 0.95, 14), (0.99, 0.95, 299), (0.5, 0.75, 2), (0.0, 0.95, 1), (1.0, 0.95, None)],
)
def test_a_flawless_model_needs_so_many_defects(target, confidence, needed):
    assert min_defects_zero_misses(target, confidence) == needed


@pytest.mark.parametrize("recall", [0.95, 0.9, 0.950001, float("nan")])
def test_at_the_target_or_below_no_number_of_defects_would_do(recall):
    assert defects_needed(recall, 0.95, 0.95) is None


def test_defects_that_stand_alone_are_worth_one_each():
    found = np.r_[np.ones(90), np.zeros(10)]
    assert design_effect(found, np.ones(100)) == 1.0
    assert share_bound(found, np.ones(100), 0.95) == pytest.approx(clopper_pearson(np.array(90), np.array(100), 0.95))


def test_the_design_effect_is_the_size_of_the_group_where_all_is_missed_or_nothing():
    together = np.repeat([0.0, 4.0], [100, 900])
    assert design_effect(together, np.full(1000, 4.0)) == pytest.approx(4, abs=0.2)
    alone = np.random.default_rng(0).binomial(4, 0.9, 3000)
    assert design_effect(alone, np.full(3000, 4.0)) == pytest.approx(1, abs=0.1)


def test_groups_without_a_miss_are_not_taken_for_independent_defects():
    assert share_bound(np.full(15, 4.0), np.full(15, 4.0), 0.95) < 0.95
    assert share_bound(np.ones(60), np.ones(60), 0.95) >= 0.95


def test_no_defects_have_no_bound():
    assert np.isnan(share_bound(np.zeros(5), np.zeros(5), 0.95))


def test_the_same_groups_and_seed_are_drawn_alike_and_every_resample_is_as_large():
    groups = np.array(["b", "a", "b", "c"])
    first, again = Resamples.by_group(groups, 200, 7), Resamples.by_group(groups, 200, 7)
    assert (first.draws == again.draws).all()
    assert (first.draws.sum(1) == 3).all()
    assert first.per_group(np.array([1, 2, 4, 8])).tolist() == [2, 5, 8]
