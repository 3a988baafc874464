"""Reads the test split, once: metrics, the same for baseline and champion, and the exported bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import pandas as pd

from steel_training.bundle.layout import KERAS_MODEL, THRESHOLD
from steel_training.config import JUDGED
from steel_training.data.columns import slice_columns
from steel_training.data.patches import PatchSet
from steel_training.data.splits import TEST, VAL
from steel_training.evaluation.comparison import Comparison, ScoredModel
from steel_training.evaluation.evaluate import (
    compare_on_test,
    compare_on_validation,
    curves,
    judge,
    operating_threshold,
    probabilities,
)
from steel_training.evaluation.threshold import NoOperatingThreshold
from steel_training.runs.artifacts import BASELINE, BUNDLE, MODEL, PATCHES, SCORES, groups_in, patch_sets, table_of
from steel_training.runs.outputs import Ended
from steel_training.runs.result import StageResult, Status
from steel_training.runs.run import Run
from steel_training.stages._ending import may_end
from steel_training.stages._explanations import keep_evidence
from steel_training.stages._export import export_bundle
from steel_training.training.scoring import score
from steel_training.verdict import Reason, Verdict


def evaluate(run: Run) -> StageResult:
    """Reads the test part, once: threshold from validation, metrics with bounds, rivals on the same patches, export.

    Where validation does not support a threshold, the run ends here as rejected: there is nothing to judge.
    """
    champion_version = _champion_to_meet(run)

    def work(folder: Path) -> StageResult:
        config, parts = run.config, patch_sets(run)
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
        tested = patches[patches["part"] == TEST]
        slice_by = slice_columns(tested, config.slices.columns)
        try:
            judged = judge(config, val=val, test=test, groups=groups, rows=tested, slice_by=slice_by)
        except NoOperatingThreshold as error:
            return _refusal(run, error.code, str(error), champion_version)
        with run.folder("check_baseline") as checked:
            small = keras.models.load_model(checked / BASELINE, compile=False, safe_mode=True)
        small_scores = score(small, parts[VAL])
        small_threshold = operating_threshold(config, parts[VAL].labels, small_scores).value
        validation = compare_on_validation(config, val[0], groups_in(run, VAL), val[1], small_scores)
        ours = ScoredModel(scores[TEST], judged.threshold.value)

        def compared(theirs: ScoredModel) -> Comparison:
            return compare_on_test(config, parts[TEST].labels, groups, ours=ours, theirs=theirs)

        baseline = compared(ScoredModel(score(small, parts[TEST]), small_threshold))
        (folder / "curves.json").write_text(json.dumps(curves(val, test)), encoding="utf-8")

        export_bundle(run, network, folder / BUNDLE, threshold=judged.threshold.value, scores=scores)
        keep_evidence(run, network, parts[TEST], judged.threshold.value, folder)
        return StageResult(
            "evaluate",
            outputs={
                **judged.as_dict(config),
                "baseline": replace(baseline, on_validation=validation).as_dict(),
                "champion": _champion_on(run, champion_version, parts[TEST], compared),
                "patches": len(parts[TEST]),
                "defects": int(parts[TEST].labels.sum()),
                "groups": len(set(groups)),
                "version": run.version,
            },
        )

    return may_end(run, run.perform("evaluate", {**run.after("fine_tune"), "champion": champion_version}, work))


def _champion_to_meet(run: Run) -> str | None:
    """Returns the champion that the model is judged against: the one of now; for a version that is published, the one that it met.

    A run that is started again after it has published would otherwise meet itself, or a later one, and its figures would no
    longer be those of the version, which never change.
    """
    registry, judged = run.registry, run.find_result("evaluate")
    if judged is not None and registry.holds(run.version):
        met = judged.outputs["champion"]
        return met["version"] if met else None
    return registry.champion()[0]


def _refusal(run: Run, code: str, message: str, champion: str | None) -> StageResult:
    outputs = {
        **Ended(Verdict.REJECTED, None, champion, champion).to_dict(),
        "metrics": {},
        "targets": {name: getattr(run.config.gate, name) for name in JUDGED},
    }
    return StageResult("evaluate", Status.REFUSED, (Reason(code, message),), outputs)


def _champion_on(
    run: Run, version: str | None, test: PatchSet, compared: Callable[[ScoredModel], Comparison]
) -> dict[str, object] | None:
    if version is None:
        return None
    with run.registry.bundle(version) as (_, folder):
        network = keras.models.load_model(folder / KERAS_MODEL, compile=False, safe_mode=True)
        threshold = json.loads((folder / THRESHOLD).read_text(encoding="utf-8"))["threshold"]
    return {"version": version, **compared(ScoredModel(score(network, test), threshold)).as_dict()}
