"""The end of a run in the terminal: verdict, metrics against targets, reasons, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steel_training.config import JUDGED
from steel_training.report.formatting import bound_of, is_met, number
from steel_training.verdict import Reason, Verdict


def summary(
    verdict: Verdict,
    reasons: Sequence[Reason],
    metrics: Mapping[str, Any],
    targets: Mapping[str, float | None],
    report: str,
    version: str | None,
    weights: Mapping[str, Any] | None = None,
    evidence: str = "point",
) -> str:
    """Returns a few lines for a person: what was decided, the numbers, why, and where to read on.

    Args:
        verdict: of the run.
        reasons: for it.
        metrics: of the test part, by name.
        targets: of the gate, by name; `None` where there is none.
        report: its address.
        version: that was published.
        weights: what the backbone started from (`LoadedWeights`); with a warning where they were random.
        evidence: whether the figure (`point`) or its `bound` is judged.
    """
    lines = ["", f"{str(verdict).upper()}{f'  version {version}' if version else ''}"]
    for name in JUDGED:
        target = targets.get(name)
        if target is None:
            continue
        estimate = metrics.get(name, {})
        met = is_met(estimate, target, evidence)
        shown = f"{number(estimate.get('value')):<10}"
        bound = f"bound {number(bound_of(estimate)):<10}" if evidence == "bound" else ""
        lines.append(f"  {'✓' if met else '✗'} {name:<10} {shown} {bound}target ≥ {target:.2f}")
    lines += [f"  {reason.code}: {reason.message}" for reason in reasons]
    if weights is not None:
        lines.append(f"  backbone started from: {weights['detail']}")
    if weights is not None and weights["random"]:
        lines.append(
            "  ! Random weights are not expected to pass: set model.weights to a file of pretrained ones, or to steel."
        )
    lines.append(f"  report: {report}")
    return "\n".join(lines)
