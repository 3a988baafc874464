"""The learning curve shows what more groups are worth, reads no test patch, and says nothing where it cannot know."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest

from steel_training.evaluation.learning_curve import LearningCurve, learning_curve

GROUPS, PATCHES = 40, 30


@pytest.fixture
def steel() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, groups, and the positions of training and validation."""
    groups = np.repeat([f"coil{number:02d}" for number in range(GROUPS)], PATCHES)
    labels = (np.random.default_rng(4).random(GROUPS * PATCHES) < 0.3).astype(int)
    number = np.repeat(np.arange(GROUPS), PATCHES)
    return labels, groups, np.flatnonzero(number < 24), np.flatnonzero((number >= 24) & (number < 32))


def scorer(labels: np.ndarray, groups: np.ndarray, noise: Callable[[int], float]) -> Callable[..., np.ndarray]:
    """A model whose scores are as noisy as `noise` says for the number of groups that it was fitted to."""

    def score(fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
        random = np.random.default_rng(len(fitted))
        return labels[scored] + noise(len(np.unique(groups[fitted]))) * random.normal(size=len(scored))

    return score


def test_groups_that_help_are_seen_to_help(steel: tuple[np.ndarray, ...]) -> None:
    labels, groups, train, val = steel
    found = learning_curve(
        scorer(labels, groups, lambda count: 6 / count), labels, groups, train=train, val=val, recall=0.95, most=10_000
    )
    assert found is not None
    assert [(point.groups, point.patches) for point in found.points] == [(6, 180), (12, 360), (18, 540), (24, 720)]
    alarms = [point.false_alarms_per_1000 for point in found.points]
    assert alarms == sorted(alarms, reverse=True)
    assert found.half.groups == 12
    assert found.saved == pytest.approx(alarms[1] - alarms[3])
    assert 0 < found.low <= found.saved <= found.high
    assert LearningCurve.from_dict(json.loads(json.dumps(asdict(found)))) == found


def test_groups_that_add_nothing_are_within_chance(steel: tuple[np.ndarray, ...]) -> None:
    labels, groups, train, val = steel
    chance = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        found = learning_curve(
            lambda fitted, scored, random=random: labels[scored] + 0.5 * random.normal(size=len(scored)),
            labels, groups, train=train, val=val, recall=0.9, most=10_000, seed=seed,
        )  # fmt: skip
        assert found is not None
        chance += found.low <= 0
    assert chance >= 16


def test_no_patch_outside_training_and_validation_is_read(steel: tuple[np.ndarray, ...]) -> None:
    labels, groups, train, val = steel
    seen: list[np.ndarray] = []

    def score(fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
        seen.extend((fitted, scored))
        return labels[scored].astype(float)

    learning_curve(score, labels, groups, train=train, val=val, recall=0.95, most=10_000)
    assert set(np.concatenate(seen[::2])) == set(train)
    assert all(np.array_equal(scored, val) for scored in seen[1::2])


def test_very_many_patches_are_thinned_and_no_group_is_lost(steel: tuple[np.ndarray, ...]) -> None:
    labels, groups, train, val = steel
    fitted_to: list[np.ndarray] = []

    def score(fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
        fitted_to.append(fitted)
        return labels[scored].astype(float)

    found = learning_curve(score, labels, groups, train=train, val=val, recall=0.95, most=360)
    assert found is not None
    assert [point.groups for point in found.points] == [6, 12, 18, 24]
    assert len(fitted_to[-1]) == 360
    assert len(np.unique(groups[fitted_to[-1]])) == 24


@pytest.mark.parametrize("coils", [5, 1])
def test_too_few_groups_give_no_curve(steel: tuple[np.ndarray, ...], coils: int) -> None:
    labels, groups, train, val = steel
    score = scorer(labels, groups, lambda _: 1.0)
    few = train[: coils * PATCHES]
    assert learning_curve(score, labels, groups, train=few, val=val, recall=0.95, most=10_000) is None
    only_clean = val[labels[val] == 0]
    assert learning_curve(score, labels, groups, train=train, val=only_clean, recall=0.95, most=10_000) is None
