"""Nearest patches of other groups: those with the other label contradict."""

from __future__ import annotations

import numpy as np
import pytest

from steel_training.labels import neighbours
from steel_training.labels.neighbours import contradicting_neighbours


def clusters(patches: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.arange(patches) % 2
    values = random.standard_normal((patches, 20)).astype(np.float32) + 8 * labels[:, None]
    return values, labels, np.arange(patches) // 10


def test_a_turned_label_is_contradicted_by_all() -> None:
    values, labels, groups = clusters()
    labels[[3, 50]] = 1 - labels[[3, 50]]
    shares = contradicting_neighbours(values.__getitem__, labels, groups)
    assert shares[[3, 50]] == pytest.approx(1.0, abs=0.11)
    assert np.delete(shares, [3, 50]).max() < 0.5


def test_patches_of_the_same_group_do_not_count() -> None:
    values, labels, groups = clusters()
    own = groups == 4
    values[own] += 300  # nearest to each other by far
    turned = np.where(own, 1 - labels, labels)
    shares = contradicting_neighbours(values.__getitem__, turned, groups)
    assert np.array_equal(shares[own] > 0.5, contradicting_neighbours(values.__getitem__, labels, groups)[own] < 0.5)


def test_batches_do_not_change_the_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    values, labels, groups = clusters()
    whole = contradicting_neighbours(values.__getitem__, labels, groups)
    monkeypatch.setattr(neighbours, "_DISTANCES_AT_ONCE", 1)
    monkeypatch.setattr(neighbours, "_BATCH", 7)
    assert np.array_equal(contradicting_neighbours(values.__getitem__, labels, groups), whole)


def test_a_single_group_has_no_neighbours() -> None:
    values, labels, _ = clusters(30)
    assert np.isnan(contradicting_neighbours(values.__getitem__, labels, np.zeros(30))).all()


def test_constant_features_give_no_error() -> None:
    shares = contradicting_neighbours(lambda rows: np.ones((len(rows), 5), np.float32), *clusters(60)[1:])
    assert ((shares >= 0) & (shares <= 1)).all()
