"""The gate publishes what meets every target, and nothing else."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.config import GateConfig
from steel_training.evaluation.comparison import AucDifference, Comparison
from steel_training.evaluation.gate import Support, decide, unsound
from steel_training.evaluation.metrics import Counts, Estimate
from steel_training.evaluation.slices import Slice

GATE = GateConfig()
GOOD = {"recall": 0.97, "f2": 0.92, "precision": 0.80, "auc": 0.98}
ENOUGH = Support(1000)
SOUND = Counts(tp=97, fn=3, fp=24, tn=276)


def judged(changes=None, *, lower=0.0, gate=GATE, support=ENOUGH, counts=SOUND, **rivals):
    values = {**GOOD, **(changes or {})}
    metrics = {name: Estimate(value, value - lower) for name, value in values.items() if value is not None}
    others = {"baseline": None, "champion": None, **rivals}
    return decide(metrics, gate, counts=counts, support=support, **others)


def codes(decision):
    return [reason.code for reason in decision.reasons]


def test_meeting_every_target_publishes_with_metrics():
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


def test_predicting_all_defective_never_passes():
    gate = GateConfig(precision=None, f2=None, auc=None)
    decision = judged({"recall": 1.0}, gate=gate, counts=Counts(tp=100, fn=0, fp=300, tn=0))
    assert not decision.publish
    assert codes(decision) == ["collapse.one_class"]


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_nearly_one_class_predictions_are_rejected(tp, fn, fp, tn):
    decision = judged(counts=Counts(tp, fn, fp, tn))
    sound = tp + fn > 0 and fp + tn > 0 and tp / (tp + fn) >= 0.05 and tn / (fp + tn) >= 0.05
    assert decision.publish is sound
    assert ("collapse.one_class" in codes(decision)) is not sound


@given(st.integers(1, 200), st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_figures_must_be_those_of_the_confusion_matrix(tp, fn, fp, tn):
    counts = Counts(tp, fn, fp, tn)
    metrics = {name: Estimate(getattr(counts, name), 0.0) for name in ("recall", "f2", "precision")}
    assert unsound(metrics, counts) == ()
    for name, true in metrics.items():
        other = {**metrics, name: Estimate(true.value + (1e-6 if true.value < 1 else -1e-6), 0.0)}
        assert [reason.code for reason in unsound(other, counts)] == ["gate.not_of_counts"]


def test_without_any_target_nothing_is_published():
    assert not judged(gate=GateConfig(recall=None, f2=None, precision=None, auc=None)).publish


def test_the_bound_is_judged_where_evidence_is_bound():
    assert judged(lower=0.03).publish
    gate = GateConfig(evidence="bound", f2=None, precision=None, auc=None)
    decision = judged(lower=0.03, gate=gate)
    assert codes(decision) == ["gate.recall", "gate.not_enough_evidence"]
    assert "lower 95% bound" in decision.reasons[0].message


@pytest.mark.parametrize(
    ("defects", "target", "needed"), [(0, 0.95, 59), (58, 0.95, 59), (13, 0.8, 14), (298, 0.99, 299)]
)
@pytest.mark.parametrize("evidence", ["point", "bound"])
def test_too_few_defects_reject_and_name_number_needed(defects, target, needed, evidence):
    gate = GateConfig(recall=target, evidence=evidence)
    refused = judged({"recall": 1.0}, gate=gate, support=Support(defects))
    assert codes(refused) == ["gate.not_enough_evidence"]
    assert f"{defects} defects" in refused.reasons[0].message
    assert f"needs {needed}" in refused.reasons[0].message
    assert judged({"recall": 1.0}, gate=gate, support=Support(needed)).publish


@pytest.mark.parametrize(("recall", "effect", "said"), [(0.97, 1.0, "about 343"), (0.97, 2.0, "about 686")])
def test_unproven_recall_names_defects_needed(recall, effect, said):
    gate = GateConfig(evidence="bound", f2=None, precision=None, auc=None)
    decision = judged({"recall": recall}, lower=0.03, gate=gate, support=Support(200, effect))
    message = decision.reasons[-1].message
    assert said in message, message


def test_a_recall_at_its_target_is_told_that_no_number_would_do():
    gate = GateConfig(evidence="bound", f2=None, precision=None, auc=None)
    decision = judged({"recall": 0.95}, lower=0.01, gate=gate)
    assert "no number of defects" in decision.reasons[-1].message


def ahead(name, value, bound=None):
    return {name: Estimate(value, value if bound is None else bound)}


@pytest.mark.parametrize(
    ("value", "bound", "point", "proven"),
    [(0.02, 0.01, True, True), (0.02, 0.0, True, False), (0.0, 0.0, False, False), (math.nan, math.nan, False, False)],
)
def test_the_model_must_separate_better_than_the_baseline(value, bound, point, proven):
    rival = Comparison({"auc": 0.9}, difference=ahead("auc", value, bound))
    assert judged(baseline=rival).publish is point
    assert judged(baseline=rival, gate=GateConfig(evidence="bound")).publish is proven
    assert not judged(baseline=Comparison({"auc": 0.9})).publish, "a difference that is missing"


@pytest.mark.parametrize(("value", "beats"), [(0.02, True), (0.0, False), (-0.01, False), (math.nan, False)])
def test_the_model_must_beat_the_baseline_on_validation_too(value: float, beats: bool) -> None:
    validation = AucDifference(0.9 + value, 0.9, value, value - 0.03, value + 0.03, 0.95)
    rival = Comparison({"auc": 0.9}, difference=ahead("auc", 0.05, 0.01), on_validation=validation)
    decision = judged(baseline=rival)
    assert decision.publish is beats
    if not beats:
        (reason,) = decision.reasons
        assert reason.code == "gate.below_baseline"
        assert "on validation" in reason.message


@pytest.mark.parametrize(
    ("recall", "f2", "publish"),
    [
        (0.0, 0.0, True),
        (-0.004, 0.1, True),
        (0.92 - 0.925, 0.0, True),
        (-0.01, 0.0, False),
        (0.0, -0.01, False),
        (math.nan, 0.5, False),
    ],
)
@pytest.mark.parametrize("evidence", ["point", "bound"])
def test_worse_than_champion_beyond_tolerance_rejects(recall, f2, publish, evidence):
    kind = {"point": (0, 9), "bound": (9, 0)}[evidence]  # the other number does not matter

    def of(value):
        return Estimate(value + kind[0], value + kind[1])

    rival = (
        "20261124-abcdef01",
        Comparison({"recall": 0.97, "f2": 0.92, "auc": 0.9}, {"recall": of(recall), "f2": of(f2)}),
    )
    decision = judged(champion=rival, gate=GateConfig(evidence=evidence))
    assert decision.publish is publish
    assert publish or set(codes(decision)) == {"gate.below_champion"}


def part(recall, *, supported=True, value="B"):
    return Slice("line", value, 40, 40, supported, Estimate(recall, recall - 0.1))


@pytest.mark.parametrize(
    ("slices", "evidence", "expected"),
    [
        ([part(0.9), part(0.92)], "point", None),
        ([part(0.9), part(0.89, value="west")], "point", "gate.slice_recall"),
        ([part(0.9), part(0.1, supported=False)], "point", None),
        ([part(0.95)], "bound", "gate.slice_recall"),
        ([part(math.nan)], "point", "gate.slice_recall"),
        ([part(0.95, supported=False)], "point", "gate.not_enough_evidence"),
        ([], "point", "gate.not_enough_evidence"),
    ],
)
def test_supported_slices_must_reach_slice_target(slices, evidence, expected):
    gate = GateConfig(slice_recall=0.9, evidence=evidence)
    decision = judged(gate=gate, slices=slices)
    assert (codes(decision)[0] if not decision.publish else None) == expected
    assert judged(slices=slices).publish, "without a target for slices they are only shown"
    if expected == "gate.slice_recall" and len(slices) == 2:
        assert "line is west is 0.8900" in decision.reasons[0].message
