"""The gate: whether a model may be published. A pure function of numbers, so that every case can stand in a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from steel_training.config import GateConfig
from steel_training.metrics import JUDGED, Estimate
from steel_training.verdict import Reason

_WORDS = {
    "recall": "share of the defects found",
    "f2": "F2",
    "precision": "share of the alarms that are defects",
    "auc": "area under the ROC curve",
}
_ADVICE = {
    "recall": "look at the missed defects in the report; add patches of that kind, or train longer.",
    "f2": "look at the missed defects and false alarms in the report.",
    "precision": "look at the false alarms in the report; some may be defects that nobody labelled.",
    "auc": "the model does not separate the classes; check labels, weights and learning rates.",
}


@dataclass(frozen=True)
class Rival:
    """Another model on the same test patches."""

    name: str
    recall: float = math.nan
    f2: float = math.nan
    auc: float = math.nan


@dataclass(frozen=True)
class Decision:
    """Publish or not, with every reason against it, or the reasons that carried it."""

    publish: bool
    reasons: tuple[Reason, ...]


def decide(
    metrics: Mapping[str, Estimate], gate: GateConfig, *, baseline: Rival | None, champion: Rival | None, alarms: float
) -> Decision:
    """Judges a model on its test part.

    A missing or non-finite metric fails its target. No target configured: nothing is published.

    Args:
        metrics: `recall`, `f2`, `precision` and `auc` on the test part.
        gate: targets, and whether the estimate or its lower bound is judged.
        baseline: the baseline CNN; the model must separate the classes better.
        champion: the published model at its own threshold; `None` for the first model.
        alarms: share of the test patches that the model calls defective; 1 means that it calls everything defective.
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
    if not 0.0 < alarms < 1.0:
        called = "everything" if alarms >= 1.0 else "nothing"
        against.append(
            Reason(
                "collapse.one_class",
                f"The model calls {called} defective ({alarms:.0%} of the test patches). {_ADVICE['auc']}",
            )
        )
    if baseline is not None:
        against += _below_baseline(metrics.get("auc"), baseline)
    if champion is not None:
        against += _below_champion(metrics, champion, gate.champion_tolerance)
    if against:
        return Decision(False, tuple(against))
    return Decision(True, tuple(_met(name, metrics[name], target, gate) for name, target in targets.items()))


def _judged(estimate: Estimate | None, gate: GateConfig) -> float:
    if estimate is None:
        return math.nan
    return estimate.lower if gate.evidence == "bound" else estimate.value


def _missed_target(name: str, estimate: Estimate | None, target: float, gate: GateConfig) -> list[Reason]:
    value = _judged(estimate, gate)
    if math.isfinite(value) and value >= target:
        return []
    found = f"{value:.4f}" if math.isfinite(value) else "not a number"
    kind = f"lower {gate.confidence:.0%} bound of " if gate.evidence == "bound" else ""
    return [
        Reason(f"gate.{name}", f"{kind}{name} ({_WORDS[name]}) is {found}; the target is {target:.2f}: {_ADVICE[name]}")
    ]


def _met(name: str, estimate: Estimate, target: float, gate: GateConfig) -> Reason:
    kind = f"lower {gate.confidence:.0%} bound of " if gate.evidence == "bound" else ""
    return Reason(f"gate.{name}", f"{kind}{name} is {_judged(estimate, gate):.4f}; the target of {target:.2f} is met.")


def _below_baseline(auc: Estimate | None, baseline: Rival) -> list[Reason]:
    value = auc.value if auc is not None else math.nan
    if math.isfinite(value) and math.isfinite(baseline.auc) and value > baseline.auc:
        return []
    return [
        Reason(
            "gate.below_baseline",
            f"AUC {value:.4f} is not above the {baseline.auc:.4f} of the baseline CNN on the same patches: "
            "the pretrained backbone does not help; check weights, preprocessing and learning rates.",
        )
    ]


def _below_champion(metrics: Mapping[str, Estimate], champion: Rival, tolerance: float) -> list[Reason]:
    against = []
    for name in ("recall", "f2"):
        theirs = getattr(champion, name)
        ours = metrics[name].value if name in metrics else math.nan
        if not (math.isfinite(ours) and math.isfinite(theirs) and ours >= theirs - tolerance):
            against.append(
                Reason(
                    "gate.below_champion",
                    f"{name} {ours:.4f} is below the {theirs:.4f} of champion {champion.name} on the same patches "
                    f"(tolerance {tolerance}); the champion keeps serving.",
                )
            )
    return against
