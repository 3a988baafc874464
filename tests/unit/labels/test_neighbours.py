"""Nearest patches of other groups: those with the other label contradict."""

from __future__ import annotations

import numpy as np
import pytest

from steel_training.labels import neighbours
from steel_training.labels.neighbours import Nearest, Neighbourhood


def clusters(patches: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.arange(patches) % 2
    values = random.standard_normal((patches, 20)).astype(np.float32) + 8 * labels[:, None]
    return values, labels, np.arange(patches) // 10


def shares_of(values: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    return Neighbourhood(values.__getitem__, labels, groups).contradicting()


def test_a_turned_label_is_contradicted_by_all() -> None:
    values, labels, groups = clusters()
    labels[[3, 50]] = 1 - labels[[3, 50]]
    shares = shares_of(values, labels, groups)
    assert shares[[3, 50]] == pytest.approx(1.0, abs=0.11)
    assert np.delete(shares, [3, 50]).max() < 0.5


def test_patches_of_the_same_group_do_not_count() -> None:
    values, labels, groups = clusters()
    own = groups == 4
    values[own] += 300  # nearest to each other by far
    turned = np.where(own, 1 - labels, labels)
    shares = shares_of(values, turned, groups)
    assert np.array_equal(shares[own] > 0.5, shares_of(values, labels, groups)[own] < 0.5)


def test_batches_do_not_change_the_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    values, labels, groups = clusters()
    whole = shares_of(values, labels, groups)
    monkeypatch.setattr(neighbours, "_DISTANCES_AT_ONCE", 1)
    monkeypatch.setattr(neighbours, "_BATCH", 7)
    assert np.array_equal(shares_of(values, labels, groups), whole)


def test_a_single_group_has_no_neighbours() -> None:
    values, labels, _ = clusters(30)
    assert np.isnan(shares_of(values, labels, np.zeros(30))).all()


def test_constant_features_give_no_error() -> None:
    shares = shares_of(np.ones((60, 5), np.float32), *clusters(60)[1:])
    assert ((shares >= 0) & (shares <= 1)).all()


def test_nearest_are_of_their_class_and_of_other_groups() -> None:
    values = np.array([[0.0, 0], [0.1, 0], [1, 0], [2, 0], [3, 0], [0, 5], [0, 6], [0, 7]], np.float32)
    labels, groups = np.array([0, 0, 0, 0, 0, 1, 1, 1]), np.array([1, 1, 2, 3, 4, 5, 6, 7])
    names, allowed = np.array(list("abcdefgh")), np.array([True] * 6 + [False, True])
    around = Neighbourhood(values.__getitem__, labels, groups)
    found = around.nearest(np.array([0, 5]), names, allowed, 2)
    assert found == {"a": Nearest(("c", "d"), ("f", "h")), "f": Nearest(("a", "b"), ("h",))}
    assert around.nearest(np.array([0]), names, labels == 0, 9) == {"a": Nearest(("c", "d", "e"), ())}


def test_batches_do_not_change_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    values, labels, groups = clusters()
    rows, names, allowed = np.array([3, 50, 9]), np.arange(200).astype(str), np.ones(200, bool)
    whole = Neighbourhood(values.__getitem__, labels, groups).nearest(rows, names, allowed, 3)
    monkeypatch.setattr(neighbours, "_DISTANCES_AT_ONCE", 1)
    assert Neighbourhood(values.__getitem__, labels, groups).nearest(rows, names, allowed, 3) == whole
