"""Estimated shares of wrong labels: near the truth on scores of known truth, with an interval that holds it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.labels.wrong_shares import WrongShare, estimate_wrong_shares, wrong_shares


def drawn(
    missed: float, false: float, *, apart: float = 4.0, patches: int = 4000, groups: int = 100, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores, groups and true labels, of which shares were turned: of defective patches, and of clean ones."""
    random = np.random.default_rng(seed)
    truth = (random.random(patches) < 0.3).astype(int)
    scores = random.standard_normal(patches) + apart * truth
    turned = random.random(patches) < np.where(truth == 1, missed, false)
    return np.where(turned, 1 - truth, truth), scores, random.integers(0, groups, patches), truth


def wrong_of(labels: np.ndarray, truth: np.ndarray) -> list[float]:
    return [float(np.mean(truth[labels == label] != label)) for label in (0, 1)]


@pytest.mark.parametrize(("missed", "false"), [(0.0, 0.0), (0.2, 0.0), (0.0, 0.08), (0.05, 0.02), (0.3, 0.1)])
def test_estimate_is_near_the_truth(missed: float, false: float) -> None:
    labels, scores, _, truth = drawn(missed, false)
    assert wrong_shares(labels, scores) == pytest.approx(wrong_of(labels, truth), abs=0.02)


def test_intervals_hold_the_truth_nine_times_in_ten() -> None:
    held = []
    for seed in range(60):
        labels, scores, groups, truth = drawn(0.1, 0.03, apart=3.0, patches=1500, groups=40, seed=seed)
        found = estimate_wrong_shares(labels, scores, groups, seed=seed)
        held += [each.low <= share <= each.high for each, share in zip(found, wrong_of(labels, truth), strict=True)]
    assert np.mean(held) >= 0.9


def test_wrong_labels_in_few_groups_widen_the_interval() -> None:
    labels, scores, groups, truth = drawn(0.0, 0.0)
    scattered = np.where((np.random.default_rng(1).random(len(truth)) < 0.1) & (truth == 1), 0, truth)
    clustered = np.where(np.isin(groups, np.arange(10)) & (truth == 1), 0, truth)
    one, other = (estimate_wrong_shares(each, scores, groups)[0] for each in (scattered, clustered))
    assert one.share == pytest.approx(other.share, abs=0.015)
    assert other.high - other.low > 1.3 * (one.high - one.low)


def test_no_wrong_label_found_leaves_room_for_some() -> None:
    labels, groups = np.repeat([0, 1], 100), np.tile(np.arange(20), 10)
    scores = np.where(labels == 1, 0.9, 0.1) + np.arange(200) / 10_000
    for each in estimate_wrong_shares(labels, scores, groups):
        assert (each.share, each.low) == (0, 0)
        assert 0.03 < each.high < 0.5


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.floats(0.0, 3.0), st.sampled_from([2, 5, 40]))
def test_shares_are_ordered_and_between_0_and_1(seed: int, apart: float, groups: int) -> None:
    labels, scores, group, _ = drawn(0.2, 0.2, apart=apart, patches=200, groups=groups, seed=seed)
    for each in estimate_wrong_shares(labels, scores.round(1), group, seed=seed):
        assert 0 <= each.low <= each.share <= each.high <= 1


def test_an_estimate_is_read_back() -> None:
    found = WrongShare(1, 40, 0.1, 0.0, 0.25)
    assert WrongShare.from_dict(found.as_dict()) == found
