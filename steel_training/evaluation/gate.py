"""The gate: whether a model may be published. A pure function of numbers, so that it can be tested case by case."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steel_training.config import JUDGED, GateConfig
from steel_training.evaluation.comparison import Comparison
from steel_training.evaluation.confidence import defects_needed, min_defects_zero_misses
from steel_training.evaluation.metrics import Counts, Estimate
from steel_training.evaluation.slices import Slice
from steel_training.verdict import Reason

_ROUNDING = 1e-12
# Metrics are reported as double-precision ratios of the same counts.
_OF_COUNTS = 1e-9
# Of either class; a model below it predicts one class for nearly all patches.
_SOME = 0.05
_WORDS = {
    "recall": "share of the defects found",
    "f2": "F2",
    "precision": "share of the predicted defects that are defects",
    "auc": "area under the ROC curve",
}
_ADVICE = {
    "recall": "see the missed defects in the report; add patches of that kind, or train longer.",
    "f2": "see the missed defects and false alarms in the report.",
    "precision": "see the false alarms in the report; some may be unlabelled defects.",
    "auc": "the model does not separate the classes; check labels, weights and learning rates.",
}


@dataclass(frozen=True)
class Support:
    """Statistical power of the test split: its defects, and how many of them count as one independent defect (≥ 1)."""

    defects: int
    design_effect: float = 1.0


@dataclass(frozen=True)
class Decision:
    """Publish or not: with every reason against it, or the targets that are met."""

    publish: bool
    reasons: tuple[Reason, ...]


def target_or_design(target: float | None, name: str) -> float:
    """Return a target of the gate, or that of the design where the gate has none."""
    return float(GateConfig.model_fields[name].default if target is None else target)


def decide(
    metrics: Mapping[str, Estimate],
    gate: GateConfig,
    *,
    baseline: Comparison | None,
    champion: tuple[str, Comparison] | None,
    counts: Counts,
    support: Support,
    slices: Sequence[Slice] = (),
) -> Decision:
    """Judge a model on its test split.

    A missing or non-finite metric fails its target. Without any target nothing is published.

    Args:
        metrics: `recall`, `f2`, `precision` and `auc` on the test split.
        gate: targets, and whether the estimate or its bound is judged; the same applies to comparisons and slices.
        baseline: the baseline CNN; the model must separate the classes better.
        champion: version of the published model, and how the judged model compares with it, each at its own threshold; `None`
            for the first model.
        counts: of the test split. A model that predicts nearly all patches as one class is refused, whatever the targets.
        support: statistical power of the test split; with too few defects nothing is published, whatever the evidence.
        slices: judged where `gate.slice_recall` is configured.
    """
    against: list[Reason] = []
    targets = {name: getattr(gate, name) for name in JUDGED if getattr(gate, name) is not None}
    if not targets:
        against.append(
            Reason(
                "gate.not_enough_evidence",
                "No target is configured; expected at least gate.recall. Nothing is published without one.",
            )
        )
    for name, target in targets.items():
        against += _missed_target(name, metrics.get(name), target, gate)
    against += _too_few_defects(metrics.get("recall"), gate, support)
    against += _one_class(counts)
    if gate.slice_recall is not None:
        against += _weak_slices(slices, gate.slice_recall, gate)
    if baseline is not None:
        against += _below_baseline(metrics.get("auc"), baseline, gate)
    if champion is not None:
        against += _below_champion(metrics, *champion, gate)
    if against:
        return Decision(False, tuple(against))
    return Decision(True, tuple(_met(name, metrics[name], target, gate) for name, target in targets.items()))


def unsound(metrics: Mapping[str, Estimate], counts: Counts) -> tuple[Reason, ...]:
    """Return why metrics are inconsistent: they must come from the model's confusion matrix, not from means over batches.

    Args:
        metrics: `recall`, `f2` and `precision`, where they were measured.
        counts: of the same patches at the same threshold.
    """
    return tuple(
        Reason(
            "gate.not_of_counts",
            f"{name} is reported as {_shown(reported)}, but {counts.tp:,} hits, {counts.fn:,} misses, {counts.fp:,} false alarms and "
            f"{counts.tn:,} clean patches give {_shown(true)}. Compute it from the counts of the whole split, not as a mean over batches.",
        )
        for name in ("recall", "f2", "precision")
        for reported, true in [(metrics[name].value if name in metrics else math.nan, getattr(counts, name))]
        if name in metrics
        and not (reported == true or abs(reported - true) <= _OF_COUNTS or (math.isnan(reported) and math.isnan(true)))
    )


def _one_class(counts: Counts) -> list[Reason]:
    """A model must predict some of both classes correctly: TP 6053, FN 2, FP 8618, TN 1 has a recall of 99.97 %."""
    for share, amount, others in ((counts.specificity, "everything", "clean"), (counts.recall, "nothing", "defective")):
        if not share >= _SOME:
            right = f"{share:.2%}" if math.isfinite(share) else "none"
            message = f"The model predicts nearly {amount} as defective: {right} of the {others} test patches are correct, at least {_SOME:.0%} are needed"
            return [Reason("collapse.one_class", f"{message}: {_ADVICE['auc']}")]
    return []


def _judged(estimate: Estimate | None, gate: GateConfig) -> float:
    if estimate is None:
        return math.nan
    return estimate.bound if gate.evidence == "bound" else estimate.value


def _kind(gate: GateConfig) -> str:
    return f"lower {gate.confidence:.0%} bound of " if gate.evidence == "bound" else ""


def _shown(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "not a number"


def _missed_target(name: str, estimate: Estimate | None, target: float, gate: GateConfig) -> list[Reason]:
    value = _judged(estimate, gate)
    if math.isfinite(value) and value >= target:
        return []
    found = f"{_kind(gate)}{name} ({_WORDS[name]}) is {_shown(value)}"
    return [Reason(f"gate.{name}", f"{found}; the target is {target:.2f}: {_ADVICE[name]}")]


def _met(name: str, estimate: Estimate, target: float, gate: GateConfig) -> Reason:
    shown = _shown(_judged(estimate, gate))
    return Reason(f"gate.{name}", f"{_kind(gate)}{name} is {shown}; the target of {target:.2f} is met.")


def _too_few_defects(recall: Estimate | None, gate: GateConfig, support: Support) -> list[Reason]:
    if gate.recall is None:
        return []
    claim = f"recall ≥ {gate.recall:.2f} at {gate.confidence:.0%} confidence"
    needed = min_defects_zero_misses(gate.recall, gate.confidence)
    if needed is not None and support.defects < needed:
        message = (
            f"The test split has {support.defects} defects; even a model that misses none needs {needed} to show {claim}. "
            "Add defective patches, or raise data.test_share."
        )
        return [Reason("gate.not_enough_evidence", message)]
    unproven = recall is not None and recall.value >= gate.recall and not recall.bound >= gate.recall
    if gate.evidence != "bound" or recall is None or not unproven:
        return []
    found = f"Recall is {recall.value:.4f} on {support.defects} defects, its lower bound {_shown(recall.bound)}: "
    enough = defects_needed(recall.value, gate.recall, gate.confidence, support.design_effect)
    if enough is None:
        advice = (
            f"so close to the target no number of defects shows {claim}. Train a model that misses fewer, or set "
            "gate.evidence: point."
        )
    else:
        effective = f" ({support.design_effect:.1f} defects of these groups count as one independent defect)"
        advice = (
            f"too few to show {claim}. At this recall about {enough} would be enough"
            + (effective if support.design_effect > 1.05 else "")
            + ": add defective patches of further groups, or raise data.test_share."
        )
    return [Reason("gate.not_enough_evidence", found + advice)]


def _weak_slices(slices: Sequence[Slice], target: float, gate: GateConfig) -> list[Reason]:
    supported = [each for each in slices if each.supported]
    if not supported:
        message = (
            f"gate.slice_recall is {target:.2f}, but no slice holds enough defects to be judged. Name columns in "
            "slices.columns, lower slices.min_defects, or set gate.slice_recall to null."
        )
        return [Reason("gate.not_enough_evidence", message)]
    return [
        Reason(
            "gate.slice_recall",
            f"{_kind(gate)}recall where {each.column} is {each.value} is {_shown(value)} ({each.defects} defects); the "
            f"target of every slice is {target:.2f}: add defective patches of that kind to the training split.",
        )
        for each in supported
        for value in [_judged(each.recall, gate)]
        if not value >= target
    ]


def _below_baseline(auc: Estimate | None, baseline: Comparison, gate: GateConfig) -> list[Reason]:
    """The pretrained backbone must beat the small network on the validation and test splits; a tie is not enough."""
    ahead, validation = _judged(baseline.difference.get("auc"), gate), baseline.on_validation
    against = []
    if not ahead > 0:
        ours = auc.value if auc is not None else math.nan
        theirs = baseline.metrics.get("auc", math.nan)
        against.append(
            f"AUC {_shown(ours)} is not shown to be above the {_shown(theirs)} of the baseline CNN on the same test "
            f"patches ({_kind(gate)}difference {_shown(ahead)}, must exceed 0)"
        )
    if validation is not None and not validation.value > 0:
        against.append(
            f"AUC {_shown(validation.ours)} on validation is not above the {_shown(validation.theirs)} of the baseline CNN "
            f"(difference {_shown(validation.value)}, {validation.confidence:.0%} interval {_shown(validation.low)} to "
            f"{_shown(validation.high)}; must exceed 0)"
        )
    advice = "the pretrained backbone does not help; check weights, preprocessing and learning rates."
    return [Reason("gate.below_baseline", f"{found}: {advice}") for found in against]


def _below_champion(
    metrics: Mapping[str, Estimate], version: str, champion: Comparison, gate: GateConfig
) -> list[Reason]:
    against = []
    for name in ("recall", "f2"):
        ahead = _judged(champion.difference.get(name), gate)
        if ahead >= -gate.champion_tolerance - _ROUNDING:
            continue
        ours = metrics[name].value if name in metrics else math.nan
        theirs = champion.metrics.get(name, math.nan)
        against.append(
            Reason(
                "gate.below_champion",
                f"{name} is {_shown(ours)}, and {_shown(theirs)} for champion {version} on the "
                f"same patches: the {_kind(gate)}difference is {_shown(ahead)}, at least {-gate.champion_tolerance:g} is "
                "required (gate.champion_tolerance); the champion keeps serving.",
            )
        )
    return against
