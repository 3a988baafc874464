"""Bounds: published values for independent defects, and wider ones for defects that are missed together."""

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
def test_clopper_pearson_matches_published_numbers(misses, defects):
    for number, reached in ((defects, True), (defects - 1, False)):
        assert (clopper_pearson(np.array(number - misses), np.array(number), 0.95) >= 0.95) == reached
    assert defects_needed(1 - misses / defects, 0.95, 0.95) == pytest.approx(defects, abs=1)


@pytest.mark.parametrize(
    ("target", "confidence", "needed"),
    [(0.95, 0.95, 59), (0.8, 0.95, 14), (0.99, 0.95, 299), (0.5, 0.75, 2), (0.0, 0.95, 1), (1.0, 0.95, None)],
)
def test_min_defects_with_zero_misses(target, confidence, needed):
    assert min_defects_zero_misses(target, confidence) == needed


@pytest.mark.parametrize("recall", [0.95, 0.9, 0.950001, float("nan")])
def test_recall_at_the_target_can_never_be_proven(recall):
    assert defects_needed(recall, 0.95, 0.95) is None


def test_single_defects_have_design_effect_one():
    found = np.r_[np.ones(90), np.zeros(10)]
    assert design_effect(found, np.ones(100)) == 1.0
    assert share_bound(found, np.ones(100), 0.95) == pytest.approx(clopper_pearson(np.array(90), np.array(100), 0.95))


def test_full_correlation_gives_the_group_size():
    together = np.repeat([0.0, 4.0], [100, 900])
    assert design_effect(together, np.full(1000, 4.0)) == pytest.approx(4, abs=0.2)
    alone = np.random.default_rng(0).binomial(4, 0.9, 3000)
    assert design_effect(alone, np.full(3000, 4.0)) == pytest.approx(1, abs=0.1)


def test_zero_misses_do_not_imply_independence():
    assert share_bound(np.full(15, 4.0), np.full(15, 4.0), 0.95) < 0.95
    assert share_bound(np.ones(60), np.ones(60), 0.95) >= 0.95


def test_no_defects_have_no_bound_at_all():
    assert np.isnan(share_bound(np.zeros(5), np.zeros(5), 0.95))


def test_resamples_are_reproducible_and_equally_large():
    groups = np.array(["b", "a", "b", "c"])
    first, again = Resamples.by_group(groups, 200, 7), Resamples.by_group(groups, 200, 7)
    assert (first.draws == again.draws).all()
    assert (first.draws.sum(1) == 3).all()
    assert first.per_group(np.array([1, 2, 4, 8])).tolist() == [2, 5, 8]
