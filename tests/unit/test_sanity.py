"""The baseline check: a network that is perfect at once, or that learned nothing, is named; an honest one passes."""

from __future__ import annotations

import numpy as np
import pytest

from steel_training.config import BaselineConfig
from steel_training.sanity import baseline_metrics, collapse, loss_fell, too_good

RANDOM = np.random.default_rng(0)
LABELS = (np.arange(400) % 3 == 0).astype(int)
GROUPS = np.array([f"g{i // 10}" for i in range(400)])


@pytest.mark.parametrize(
    ("history", "passed"),
    [([0.80, 0.995], False), ([0.992], False), ([0.80, 0.98, 0.999], True), ([0.5, 0.9899], True)],
)
def test_a_small_network_that_is_perfect_at_once_has_found_a_leak(history: list[float], passed: bool) -> None:
    probe = too_good({"val_auc": history}, BaselineConfig())
    assert (probe.code, probe.passed) == ("leak.too_good", passed)
    assert passed or "Compare how" in probe.message


COLLAPSED = {
    "constant": (np.full(400, 0.3), "collapse.constant_score"),
    "hardly varying": (0.3 + 1e-5 * RANDOM.random(400), "collapse.constant_score"),
    "not finite": (np.full(400, np.nan), "collapse.constant_score"),
    "all defective": (0.9 + 0.05 * RANDOM.random(400), "collapse.one_class"),
    "all clean": (0.1 * RANDOM.random(400), "collapse.one_class"),
    "chance": (RANDOM.random(400), "collapse.chance"),
    "upside down": (np.clip(0.7 - 0.5 * LABELS + 0.2 * RANDOM.random(400), 0, 1), "collapse.chance"),
}


@pytest.mark.parametrize("name", COLLAPSED)
def test_a_collapsed_baseline_is_named(name: str) -> None:
    scores, code = COLLAPSED[name]
    assert code in {probe.code for probe in collapse(LABELS, scores, GROUPS) if not probe.passed}


@pytest.mark.parametrize(
    ("loss", "passed"),
    [([0.7, 0.5, 0.3], True), ([0.7, 0.65, 0.639], False), ([0.7, float("nan")], False), ([], False)],
    ids=["fell", "no better than the best constant", "not finite", "none"],
)
def test_a_loss_must_be_finite_and_beat_the_best_constant(loss: list[float], passed: bool) -> None:
    probe = loss_fell({"loss": loss, "val_loss": loss}, LABELS)
    assert (probe.code, probe.passed) == ("collapse.loss", passed)
    assert np.isfinite(probe.statistic)
    assert passed or "labels" in probe.message


def test_a_baseline_that_learned_passes_even_where_it_is_shy() -> None:
    for shift in (0.0, -0.25):  # few defects: honest scores may all stay below 0.5
        scores = np.clip(0.35 + shift + 0.3 * LABELS + 0.2 * RANDOM.standard_normal(400) * 0.5, 0, 1)
        assert all(probe.passed for probe in collapse(LABELS, scores, GROUPS)), shift


def test_the_published_failure_is_one_class() -> None:
    """TP 6053, FN 2, FP 8618, TN 1: recall 99.97 %, and everything called defective."""
    labels = np.r_[np.ones(6055), np.zeros(8619)].astype(int)
    scores = np.r_[np.full(6053, 0.9), np.full(2, 0.1), np.full(8618, 0.9), np.full(1, 0.1)]
    scores = scores + 1e-3 * np.random.default_rng(2).random(len(scores))
    groups = np.arange(len(labels)) // 10
    assert "collapse.chance" in {probe.code for probe in collapse(labels, scores, groups) if not probe.passed}


def test_baseline_figures_are_those_of_the_scores() -> None:
    found = baseline_metrics(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]))
    assert found["auc"] == pytest.approx(0.75)
    assert found["positive_share"] == 0.5
    assert found["precision_at_recall_95"] == pytest.approx(2 / 3)
