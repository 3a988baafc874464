"""The terminal summary of a run: verdict, metrics against targets, reasons, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steel_training.config import JUDGED
from steel_training.report.formatting import bound_of, is_met, number
from steel_training.verdict import Reason, Verdict


def summary(
    verdict: Verdict,
    reasons: Sequence[Reason],
    metrics: Mapping[str, Mapping[str, float | None]],
    targets: Mapping[str, float | None],
    report: str,
    version: str | None,
    weights: Mapping[str, str | bool] | None = None,
    evidence: str = "point",
    advice: str = "",
) -> str:
    """Return a few lines: verdict, metrics against targets, reasons, and the address of the report.

    Args:
        verdict: of the run.
        reasons: of the verdict.
        metrics: on the test split, by name.
        targets: of the gate, by name; `None` where there is none.
        report: address of the report.
        version: the published one, if any.
        weights: initial weights of the backbone (`LoadedWeights`); random ones add a warning.
        evidence: whether the estimate (`point`) or its `bound` is compared with the target.
        advice: what would help a rejected model most, on one line; empty where nothing is known.
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
        lines.append(f"  backbone weights: {weights['detail']}")
    if weights is not None and weights["random"]:
        lines.append(
            "  ! The backbone started from random weights, which are not expected to pass: set model.weights to steel or to a weights file."
        )
    if advice:
        lines.append(f"  {advice}")
    lines.append(f"  report: {report}")
    return "\n".join(lines)
