"""The stages that judge: the test part is read, the export replayed, the figures put through the gate."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from steel_training.comparison import AreaAhead, Contender
from steel_training.features import PatchSet
from steel_training.gate import Rival
from steel_training.metrics import JUDGED, Counts, Estimate
from steel_training.overriding import allowed_reasons
from steel_training.records import (
    BASELINE,
    BUNDLE,
    MODEL,
    PATCHES,
    SCORES,
    config_of,
    groups_in,
    patch_sets,
    registry_of,
    table_of,
    version_of,
)
from steel_training.report.evidence import keep_evidence
from steel_training.run import Run, StageResult, Status
from steel_training.splits import TEST, VAL
from steel_training.stages.blocking import may_end
from steel_training.stages.exporting import export_bundle
from steel_training.verdict import Reason, Verdict


def evaluate(run: Run) -> StageResult:
    """Reads the test part, once: threshold from validation, metrics with bounds, rivals on the same patches, export.

    Where validation does not support a threshold, the run ends here as rejected: there is nothing to judge.
    """
    champion_version = _champion_to_meet(run)

    def work(folder: Path) -> StageResult:
        import keras

        from steel_training.evaluation import (
            against,
            ahead_on_validation,
            curves,
            judge,
            operating_threshold,
            probabilities,
            score,
        )
        from steel_training.threshold import NoOperatingThreshold

        config, parts = config_of(run), patch_sets(run)
        with run.folder("fine_tune") as tuned:
            network = keras.models.load_model(tuned / MODEL, compile=False, safe_mode=True)
        scores = {part: score(network, parts[part]) for part in (VAL, TEST)}
        val, test = (parts[VAL].labels, scores[VAL]), (parts[TEST].labels, scores[TEST])
        patches, groups = table_of(run, "resolve_dataset", PATCHES), groups_in(run, TEST)
        tables = []
        for part in (VAL, TEST):
            rows = patches.loc[patches["part"] == part, ["patch_id", "path", "part", "group", "source_id"]]
            made = {"label": parts[part].labels, "score": scores[part]}
            tables.append(rows.assign(**made, probability=probabilities(config, scores[part])))
        pd.concat(tables).to_parquet(folder / SCORES, index=False)
        try:
            judged = judge(config, val=val, test=test, groups=groups, rows=patches[patches["part"] == TEST])
        except NoOperatingThreshold as error:
            return _refusal(run, error.code, str(error), champion_version)
        with run.folder("check_baseline") as checked:
            small = keras.models.load_model(checked / BASELINE, compile=False, safe_mode=True)
        small_scores = score(small, parts[VAL])
        small_threshold = operating_threshold(config, parts[VAL].labels, small_scores).value
        validation = ahead_on_validation(config, val[0], groups_in(run, VAL), val[1], small_scores)
        ours = Contender(scores[TEST], judged.threshold.value)

        def compared(theirs: Contender) -> dict[str, Any]:
            return against(config, parts[TEST].labels, groups, ours=ours, theirs=theirs).as_dict()

        (folder / "curves.json").write_text(json.dumps(curves(val, test)), encoding="utf-8")

        export_bundle(run, network, folder / BUNDLE, threshold=judged.threshold.value, scores=scores)
        keep_evidence(run, network, parts[TEST], judged.threshold.value, folder)
        return StageResult(
            "evaluate",
            outputs={
                **judged.as_dict(config),
                "baseline": {
                    **compared(Contender(score(small, parts[TEST]), small_threshold)),
                    "on_validation": validation.as_dict(),
                },
                "champion": _champion_on(run, champion_version, parts[TEST], compared),
                "patches": len(parts[TEST]),
                "defects": int(parts[TEST].labels.sum()),
                "groups": len(set(groups)),
                "version": version_of(run),
            },
        )

    return may_end(run, run.perform("evaluate", {**run.after("fine_tune"), "champion": champion_version}, work))


def verify_bundle(run: Run) -> StageResult:
    """Replays the golden samples in a clean process; the run stops where the export differs."""

    def work(_: Path) -> StageResult:
        from steel_training import bundle

        with run.folder("evaluate") as evaluated:
            measured = bundle.verify(evaluated / BUNDLE)
        return StageResult("verify_bundle", outputs=measured)

    return run.perform("verify_bundle", run.after("evaluate"), work)


def decide(run: Run) -> StageResult:
    """Puts the metrics through the gate."""

    def work(_: Path) -> StageResult:
        from steel_training import gate

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


def _champion_to_meet(run: Run) -> str | None:
    """Returns the champion that the model is judged against: the one of now; for a version that is published, the one that it met.

    A run that is started again after it has published would otherwise meet itself, or a later one, and its figures would no
    longer be those of the version, which never change.
    """
    registry, judged = registry_of(run), run.find_result("evaluate")
    if judged is not None and registry.holds(version_of(run)):
        met = judged.outputs["champion"]
        return met["version"] if met else None
    return registry.champion()[0]


def _refusal(run: Run, code: str, message: str, champion: str | None) -> StageResult:
    outputs = {
        "verdict": str(Verdict.REJECTED),
        "version": None,
        "champion": champion,
        "previous_champion": champion,
        "metrics": {},
        "targets": {name: getattr(config_of(run).gate, name) for name in JUDGED},
    }
    return StageResult("evaluate", Status.REFUSED, (Reason(code, message),), outputs)


def _champion_on(
    run: Run, version: str | None, test: PatchSet, compared: Callable[[Contender], dict[str, Any]]
) -> dict[str, Any] | None:
    if version is None:
        return None
    import keras

    from steel_training import bundle
    from steel_training.evaluation import score

    with registry_of(run).bundle(version) as (_, folder):
        network = keras.models.load_model(folder / bundle.KERAS_MODEL, compile=False, safe_mode=True)
        threshold = json.loads((folder / bundle.THRESHOLD).read_text(encoding="utf-8"))["threshold"]
    return {"version": version, **compared(Contender(score(network, test), threshold))}


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
