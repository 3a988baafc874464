"""Applies the gate to the metrics."""

from __future__ import annotations

from pathlib import Path

from steel_training.evaluation import gate
from steel_training.leakage.overriding import allowed_reasons
from steel_training.runs.outputs import CheckedBaseline, Decided, Evaluated
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run


def decide(run: Run) -> StageResult:
    """Decides by targets, baseline and champion whether the model may be published."""

    def work(_: Path) -> StageResult:
        evaluated = run.outputs("evaluate", Evaluated.from_dict)
        allowed = allowed_reasons(run.outputs("check_baseline", CheckedBaseline.from_dict).probes)
        decision = gate.decide(
            evaluated.metrics,
            run.config.gate,
            baseline=evaluated.baseline,
            champion=evaluated.champion,
            counts=evaluated.counts,
            support=gate.Support(evaluated.defects, evaluated.design_effect),
            slices=evaluated.slices,
        )
        if unsound := gate.unsound(evaluated.metrics, evaluated.counts):
            decision = gate.Decision(False, unsound)
        decided = Decided(
            publish=decision.publish,
            require_approval=run.config.publish.require_approval,
            approvers=tuple(run.config.publish.approvers),
            four_eyes=run.config.publish.four_eyes,
            champion=evaluated.champion[0] if evaluated.champion else None,
            figures={
                name: {**measured.as_dict(), "target": evaluated.targets[name]}
                for name, measured in evaluated.metrics.items()
                if name in evaluated.targets
            },
            defects=evaluated.defects,
            missed=evaluated.counts.fn,
            clean=evaluated.patches - evaluated.defects,
            false_alarms=evaluated.counts.fp,
        )
        return StageResult("decide", reasons=(*allowed, *decision.reasons), outputs=decided.to_dict())

    return run.perform("decide", run.inputs_of("decide"), work)
