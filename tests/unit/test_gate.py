"""The gate publishes what meets every target, and nothing else."""

import math

import pytest

from steel_training.config import GateConfig
from steel_training.gate import Rival, decide
from steel_training.metrics import Estimate

GATE = GateConfig()
GOOD = {"recall": 0.97, "f2": 0.92, "precision": 0.80, "auc": 0.98}


def judged(changes=None, *, lower=0.0, gate=GATE, baseline=None, champion=None, alarms=0.3):
    values = {**GOOD, **(changes or {})}
    metrics = {name: Estimate(value, value - lower) for name, value in values.items() if value is not None}
    return decide(metrics, gate, baseline=baseline, champion=champion, alarms=alarms)


def codes(decision):
    return [reason.code for reason in decision.reasons]


def test_a_model_that_meets_every_target_is_published_with_the_numbers_that_carried_it():
    decision = judged()
    assert decision.publish
    assert codes(decision) == ["gate.recall", "gate.f2", "gate.precision", "gate.auc"]
    assert "0.9700" in decision.reasons[0].message


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, 0.0])
def test_a_missing_or_non_finite_or_low_metric_fails_its_target(name, value):
    decision = judged({name: value})
    assert not decision.publish
    assert f"gate.{name}" in codes(decision)


@pytest.mark.parametrize("name", list(GOOD))
def test_exactly_the_target_is_enough_and_a_hair_below_is_not(name):
    target = getattr(GATE, name)
    assert judged({name: target}).publish
    assert codes(judged({name: math.nextafter(target, 0)})) == [f"gate.{name}"]


def test_a_model_that_calls_everything_defective_never_passes_even_without_a_precision_target():
    gate = GateConfig(precision=None, f2=None, auc=None)
    decision = judged({"recall": 1.0}, gate=gate, alarms=1.0)
    assert not decision.publish
    assert codes(decision) == ["collapse.one_class"]


def test_without_any_target_nothing_is_published():
    assert not judged(gate=GateConfig(recall=None, f2=None, precision=None, auc=None)).publish


def test_the_lower_bound_is_judged_where_evidence_is_bound():
    assert judged(lower=0.03).publish
    decision = judged(lower=0.03, gate=GateConfig(evidence="bound"))
    assert codes(decision) == ["gate.recall"]
    assert "lower 95% bound" in decision.reasons[0].message


@pytest.mark.parametrize(("auc", "publish"), [(0.97, True), (0.98, False), (0.99, False), (math.nan, False)])
def test_the_model_must_separate_better_than_the_baseline(auc, publish):
    assert judged(baseline=Rival("baseline CNN", auc=auc)).publish is publish


@pytest.mark.parametrize(
    ("recall", "f2", "publish"),
    [(0.97, 0.92, True), (0.974, 0.92, True), (0.98, 0.92, False), (0.97, 0.93, False), (math.nan, 0.5, False)],
)
def test_the_challenger_must_not_be_worse_than_the_champion_beyond_the_tolerance(recall, f2, publish):
    decision = judged(champion=Rival("20261124-abcdef01", recall, f2, 0.9))
    assert decision.publish is publish
    assert publish or set(codes(decision)) == {"gate.below_champion"}
