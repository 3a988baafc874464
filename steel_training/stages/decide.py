"""Puts the metrics through the gate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steel_training.evaluation import gate
from steel_training.evaluation.comparison import AreaAhead
from steel_training.evaluation.gate import Rival
from steel_training.evaluation.metrics import Counts, Estimate
from steel_training.leakage.overriding import allowed_reasons
from steel_training.runs.artifacts import config_of
from steel_training.runs.run import Run, StageResult


def decide(run: Run) -> StageResult:
    """Puts the metrics through the gate."""

    def work(_: Path) -> StageResult:
        judged, config = run.result("evaluate").outputs, config_of(run)
        counts, champion = judged["counts"], judged["champion"]
        allowed = allowed_reasons(run.result("check_baseline").outputs["probes"])
        metrics = _estimates(judged["metrics"])
        decision = gate.decide(
            metrics,
            config.gate,
            baseline=_rival("baseline CNN", judged["baseline"]),
            champion=_rival(champion["version"], champion) if champion else None,
            counts=Counts(**counts),
            support=gate.Support(judged["defects"], judged["design_effect"]),
            slices=[
                gate.SliceRecall(
                    each["column"], each["value"], each["defects"], each["supported"], _estimate(each["recall"])
                )
                for each in judged["slices"]
            ],
        )
        if unsound := gate.unsound(metrics, Counts(**counts)):
            decision = gate.Decision(False, unsound)
        return StageResult(
            "decide",
            reasons=(*allowed, *decision.reasons),
            outputs={
                "publish": decision.publish,
                "require_approval": config.publish.require_approval,
                "champion": champion["version"] if champion else None,
                "figures": {
                    name: {"value": measured["value"], "bound": measured["bound"], "target": judged["targets"][name]}
                    for name, measured in judged["metrics"].items()
                    if name in judged["targets"]
                },
                "defects": judged["defects"],
                "missed": counts["fn"],
                "clean": judged["patches"] - judged["defects"],
                "false_alarms": counts["fp"],
            },
        )

    return run.perform("decide", run.after("verify_bundle"), work)


def _rival(name: str, figures: Mapping[str, Any]) -> Rival:
    values = {each: _number(figures[each]) for each in ("recall", "f2", "auc")}
    validation = figures.get("on_validation")
    ahead = AreaAhead(**{name: _number(value) for name, value in validation.items()}) if validation else None
    return Rival(name, **values, difference=_estimates(figures["difference"]), on_validation=ahead)


def _estimates(metrics: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: _estimate(values) for name, values in metrics.items()}


def _estimate(values: Mapping[str, float | None]) -> Estimate:
    return Estimate(_number(values["value"]), _number(values["bound"]))


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
