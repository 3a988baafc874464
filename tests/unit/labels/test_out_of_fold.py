"""Out-of-fold scores: no group scores itself, and too little data is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.labels import out_of_fold
from steel_training.labels.errors import CannotAudit
from steel_training.labels.out_of_fold import out_of_fold_scores


class Asked:
    """Features that remember which rows were asked for; of each fold first those to fit, then those to score."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.calls = values, []

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        self.calls.append(rows)
        return self.values[rows]


def strips(groups: int, each: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), each)
    labels = (random.random(groups * each) < 0.4).astype(int)
    values = random.standard_normal((len(labels), 6)).astype(np.float32)
    values[:, 0] += 3 * labels
    return values, labels, group


@settings(max_examples=10)
@given(st.integers(6, 25), st.integers(4, 12), st.integers(0, 10_000))
def test_no_group_scores_itself(groups: int, each: int, seed: int) -> None:
    values, labels, group = strips(groups, max(each, 40 // groups + 1), seed=seed)
    if min(len(np.unique(group[labels == label])) for label in (0, 1)) < 3:
        return
    asked = Asked(values)
    out_of_fold_scores(asked, labels, group, repeats=2)
    scored = []
    for fitted, judged in zip(asked.calls[::2], asked.calls[1::2], strict=True):
        assert set(group[fitted]).isdisjoint(group[judged])
        scored.append(judged)
    assert sorted(np.concatenate(scored)) == sorted([*range(len(labels))] * 2)


def test_label_of_a_whole_group_does_not_vouch_for_it() -> None:
    values, labels, group = strips(20, 10)
    values[:, 1:] = np.eye(20)[group][:, :5] * 50  # by which a group can be learned by heart
    turned = np.where(group == 3, 1 - labels, labels)
    scores = out_of_fold_scores(values.__getitem__, turned, group)
    own = group == 3
    assert scores[own & (labels == 1)].min() > scores[own & (labels == 0)].max()


def test_fit_on_drawn_groups_bounds_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_fold, "MOST_FITTED", 120)
    values, labels, group = strips(30, 10)
    asked = Asked(values)
    scores = out_of_fold_scores(asked, labels, group, repeats=1)
    assert {len(fitted) for fitted in asked.calls[::2]} == {120}
    assert all(len(np.unique(group[fitted])) == 12 for fitted in asked.calls[::2]), "whole groups are drawn"
    assert scores[labels == 1].mean() > scores[labels == 0].mean() + 0.1


@pytest.mark.parametrize(
    ("groups", "each", "label", "said"),
    [(1, 60, None, "in 1 groups"), (20, 10, 1, "0 clean patches in 0 groups"), (5, 2, None, "At least 40 patches")],
)
def test_too_little_data_is_refused_with_numbers(groups: int, each: int, label: int | None, said: str) -> None:
    values, labels, group = strips(groups, each)
    labels = labels if label is None else np.full(len(labels), label)
    with pytest.raises(CannotAudit, match=said):
        out_of_fold_scores(values.__getitem__, labels, group)


def test_a_class_within_one_group_is_refused() -> None:
    values, _, group = strips(20, 10)
    labels = ((group == 2) | (np.arange(200) % 100 == 99)).astype(int)
    scores = out_of_fold_scores(values.__getitem__, labels, group)
    assert np.isfinite(scores).all()
    with pytest.raises(CannotAudit, match="10 defective ones in 1 are too few"):
        out_of_fold_scores(values.__getitem__, (group == 2).astype(int), group)


def test_a_feature_that_is_not_finite_is_refused() -> None:
    values, labels, group = strips(20, 10)
    values[7, 2] = np.nan
    with pytest.raises(CannotAudit, match="not finite"):
        out_of_fold_scores(values.__getitem__, labels, group)
