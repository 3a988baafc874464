"""The baseline check: a baseline that is near perfect at once, or learned nothing, is named; a sound one passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from steel_training.config import BaselineConfig
from steel_training.evaluation.metrics import auc
from steel_training.leakage import Probe
from steel_training.leakage.baseline_check import baseline_metrics, best_epoch_bound, collapse, loss_fell, too_good
from steel_training.verdict import OVERRIDABLE

RANDOM = np.random.default_rng(0)
LABELS = (np.arange(400) % 3 == 0).astype(int)
GROUPS = np.array([f"g{i // 10}" for i in range(400)])


GREEN = [Probe(code, True, 0.0, 0.0, "nothing found") for code in OVERRIDABLE if code != "leak.too_good"]


def learned(
    areas: list[float], right: float = 0.5, *, defects: int = 100, clean: int = 300, times: int = 10
) -> dict[str, list[float]]:
    """The history of a baseline with these AUCs, which calls this share of both classes right at 0.5 from the second epoch on.

    Validation holds so many patches, training `times` as many.
    """
    shares = np.array([0.5, *[right] * (len(areas) - 1)])
    tp, tn = shares * defects, shares * clean
    counts = {"tp": tp, "fn": defects - tp, "tn": tn, "fp": clean - tn}
    val = {f"val_{name}": list(values) for name, values in counts.items()}
    return {"val_auc": areas, **val, **{name: list(times * values) for name, values in counts.items()}}


@pytest.mark.parametrize(
    ("areas", "right", "passed"),
    [
        ([0.80, 0.995], 0.5, False),
        ([0.992], 0.5, False),
        ([0.80, 0.98, 0.999], 0.5, True),
        ([0.5, 0.9899], 0.5, True),
        ([0.5, 0.9899], 0.991, False),
    ],
)
def test_near_perfect_baseline_at_once_is_a_leak(areas: list[float], right: float, passed: bool) -> None:
    probe = too_good(learned(areas, right), BaselineConfig(), [Probe.unjudged("leak.two_cameras", "few")], 0.9)
    assert (probe.code, probe.passed, probe.blocks) == ("leak.too_good", passed, not passed)
    assert passed or "Compare how" in probe.message


def test_at_once_is_counted_in_steps_for_small_datasets() -> None:
    """320 patches are 10 steps of 32: what is plain after 60 of them is plain at once; of 3,840 patches it took 720."""
    areas = [0.5, 0.6, 0.7, 0.8, 0.9, 0.995]
    unjudged = [Probe.unjudged("leak.two_cameras", "few")]
    small, large = (learned(areas, defects=80, clean=240, times=times) for times in (1, 12))
    assert too_good(small, BaselineConfig(), unjudged, 0.9).blocks
    assert too_good(large, BaselineConfig(), unjudged, 0.9).passed
    assert too_good(small, BaselineConfig(too_good_steps=0), unjudged, 0.9).passed


def test_too_good_only_warns_if_all_other_probes_pass() -> None:
    def blocks(probes: list[Probe]) -> bool:
        probe = too_good(learned([0.999]), BaselineConfig(), probes, 0.9)
        assert not probe.passed
        return probe.blocks

    warning = Probe("leak.manifest_column", False, 1.0, 0.9, "a column that was written of patches", decisive=False)
    alarm = Probe("leak.two_cameras", False, 1.0, 0.9, "two cameras")
    assert not blocks(GREEN)
    assert not blocks([*GREEN[1:], warning, Probe.unjudged("leak.parts_differ", "a probe that never blocks")])
    for hole in range(len(GREEN)):
        assert blocks([*GREEN[:hole], Probe.unjudged(GREEN[hole].code, "few"), *GREEN[hole + 1 :]])
    assert blocks([*GREEN, alarm])
    assert not blocks([*GREEN, replace(alarm, allowed=True)])


def test_predicting_all_clean_is_not_too_good() -> None:
    counts = {"tp": [0.0], "fn": [5.0], "tn": [995.0], "fp": [0.0]}
    rare = {"val_auc": [0.6], **counts, **{f"val_{name}": value for name, value in counts.items()}}
    assert too_good(rare, BaselineConfig(), GREEN, 0.9).passed


@pytest.mark.parametrize("probes", [GREEN, [Probe.unjudged("leak.two_cameras", "few")]])
def test_near_perfect_baseline_in_the_end_is_a_warning(probes: list[Probe]) -> None:
    """A mark of 8 pixels in a corner of NEU patches: not learned within 100 steps, but by the end."""
    slow = learned([0.5, 0.6, 0.7, 0.8, 1.0], times=50)
    late, honest = (too_good(slow, BaselineConfig(), probes, bound) for bound in (0.995, 0.97))
    assert not late.passed
    assert not late.blocks
    assert "by eye" in late.message
    assert honest.passed
    assert too_good(slow, BaselineConfig(), probes, float("nan")).passed


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
def test_collapsed_baseline_is_named(name: str) -> None:
    scores, code = COLLAPSED[name]
    assert code in {probe.code for probe in judged(LABELS, scores, GROUPS) if not probe.passed}


@pytest.mark.parametrize(
    ("loss", "passed"),
    [([0.7, 0.5, 0.3], True), ([0.7, 0.65, 0.639], False), ([0.7, float("nan")], False), ([], False)],
    ids=["fell", "no better than the best constant", "not finite", "none"],
)
def test_loss_must_be_finite_and_beat_a_constant(loss: list[float], passed: bool) -> None:
    probe = loss_fell({"loss": loss, "val_loss": loss}, LABELS)
    assert (probe.code, probe.passed) == ("collapse.loss", passed)
    assert np.isfinite(probe.statistic)
    assert passed or "labels" in probe.message


def test_trained_baseline_with_low_scores_passes() -> None:
    for shift in (0.0, -0.25):  # few defects: honest scores may all stay below 0.5
        scores = np.clip(0.35 + shift + 0.3 * LABELS + 0.2 * RANDOM.standard_normal(400) * 0.5, 0, 1)
        assert all(probe.passed for probe in judged(LABELS, scores, GROUPS)), shift


def judged(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, epochs: int = 6) -> list[Probe]:
    return collapse(labels, scores, best_epoch_bound(labels, scores, groups, epochs))


def best_of(epochs: int, random: np.random.Generator) -> np.ndarray:
    """Scores of the best of so many epochs that learned nothing, as the trainer keeps them."""
    drawn = [0.3 + 0.4 * random.random(300) for _ in range(epochs)]
    return max(drawn, key=lambda scores: auc(LABELS[:300], scores))


@pytest.mark.parametrize("groups", [3, 30])
def test_luck_of_the_best_of_many_epochs_is_no_learning(groups: int) -> None:
    """At most one in twenty networks that learned nothing may pass. It was one in two before the epochs counted, and seven in eight of three groups."""
    random, together = np.random.default_rng(5), np.arange(300) * groups // 300
    found = [judged(LABELS[:300], best_of(12, random), together, 12)[-1] for _ in range(60)]
    assert {probe.code for probe in found} == {"collapse.chance"}
    assert sum(probe.passed for probe in found) <= 3


def test_a_weak_baseline_on_little_data_has_learned_all_the_same() -> None:
    """20 defects of 80 patches in 8 groups, AUC about 0.85: what an honest small dataset shows."""
    random, labels = np.random.default_rng(6), (np.arange(80) % 4 == 0).astype(int)
    for _ in range(20):
        scores = 1 / (1 + np.exp(-(1.5 * labels + random.standard_normal(80))))
        assert auc(labels, scores) > 0.7
        assert all(probe.passed for probe in judged(labels, scores, np.arange(80) // 10))


def test_published_failure_is_a_one_class_collapse() -> None:
    """TP 6053, FN 2, FP 8618, TN 1: recall 99.97 %, and everything called defective."""
    labels = np.r_[np.ones(6055), np.zeros(8619)].astype(int)
    scores = np.r_[np.full(6053, 0.9), np.full(2, 0.1), np.full(8618, 0.9), np.full(1, 0.1)]
    scores = scores + 1e-3 * np.random.default_rng(2).random(len(scores))
    groups = np.arange(len(labels)) // 10
    assert "collapse.chance" in {probe.code for probe in judged(labels, scores, groups) if not probe.passed}


def test_baseline_metrics_match_the_scores() -> None:
    found = baseline_metrics(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]))
    assert found["auc"] == pytest.approx(0.75)
    assert found["positive_share"] == 0.5
    assert found["precision_at_recall_95"] == pytest.approx(2 / 3)
