"""What a target on recall or precision costs with given scores."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from steel_training.evaluation.metrics import Counts, count
from steel_training.evaluation.trade_off import trade_off


def test_both_ends_are_counted_at_their_thresholds() -> None:
    labels = np.array([1, 0, 1, 0, 1, 0, 0, 0])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    found = trade_off(labels, scores, recall=1.0, precision=0.65)
    assert found.at_recall == Counts(tp=3, fn=0, fp=2, tn=3)
    assert found.at_precision == Counts(tp=2, fn=1, fp=1, tn=4)


def test_a_precision_that_no_threshold_has_is_none() -> None:
    found = trade_off(np.array([0, 1]), np.array([0.9, 0.1]), recall=0.95, precision=0.7)
    assert found.at_precision is None
    assert found.at_recall == Counts(tp=1, fn=0, fp=1, tn=0)


def test_without_defects_there_is_nothing_to_trade() -> None:
    found = trade_off(np.zeros(3, int), np.array([0.1, 0.2, 0.3]), recall=0.9, precision=0.5)
    assert (found.at_recall, found.at_precision) == (None, None)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=1, max_size=40),
    st.floats(0.01, 1),
    st.floats(0.01, 1),
)
def test_no_threshold_does_better(pairs: list[tuple[int, int]], recall: float, precision: float) -> None:
    labels, scores = (np.array(each) for each in zip(*pairs, strict=True))
    tried = [count(labels, scores, threshold) for threshold in np.unique(scores)]
    found = trade_off(labels, scores.astype(float), recall=recall, precision=precision)
    if not labels.any():
        return
    enough = [each.fp for each in tried if each.recall >= recall - 1e-12]
    assert found.at_recall is not None
    assert found.at_recall.fp == min(enough)
    precise = [each.tp for each in tried if each.precision >= precision - 1e-12]
    assert (found.at_precision.tp if found.at_precision else None) == max(precise, default=None)
