"""Reads the test split, once: metrics, the same for baseline and champion, and the exported bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from steel_training.bundle.layout import KERAS_MODEL, THRESHOLD
from steel_training.config import JUDGED
from steel_training.data.columns import slice_columns
from steel_training.data.patches import PatchSet
from steel_training.data.splits import TEST, VAL
from steel_training.evaluation.comparison import Comparison, ScoredModel
from steel_training.evaluation.curves import curves
from steel_training.evaluation.evaluate import (
    compare_on_test,
    compare_on_validation,
    judge,
    operating_threshold,
    probabilities,
)
from steel_training.evaluation.threshold import NoOperatingThreshold
from steel_training.runs.artifacts import BASELINE, BUNDLE, MODEL, PATCHES, SCORES, groups_in, patch_sets, table_of
from steel_training.runs.outputs import Ended
from steel_training.runs.result import StageResult, Status
from steel_training.runs.run import Run
from steel_training.stages._champion_labels import labels_unlike_champion
from steel_training.stages._corrected_labels import by_labels_before_and_after
from steel_training.stages._ending import conclude_if_ended
from steel_training.stages._explanations import write_explanations
from steel_training.stages._export import export_bundle
from steel_training.training.saved_network import load_network
from steel_training.training.scoring import Scorer, score
from steel_training.verdict import Reason, Verdict


def evaluate(run: Run) -> StageResult:
    """Read the test split, once: threshold from validation, metrics with bounds, reference models on the same patches, export.

    Where no threshold can be chosen on validation, the run ends here as rejected.
    """
    champion_version = _champion_to_compare(run)

    def work(folder: Path) -> StageResult:
        config, splits = run.config, patch_sets(run)
        with run.folder("fine_tune") as tuned:
            network = load_network(tuned / MODEL)
        scorer = Scorer(network)
        scores = {split: scorer(splits[split]) for split in (VAL, TEST)}
        val, test = (splits[VAL].labels, scores[VAL]), (splits[TEST].labels, scores[TEST])
        patches, groups = table_of(run, "resolve_dataset", PATCHES), groups_in(run, TEST)
        tables = []
        for split in (VAL, TEST):
            rows = patches.loc[patches["part"] == split, ["patch_id", "path", "part", "group", "source_id"]]
            made = {"label": splits[split].labels, "score": scores[split]}
            tables.append(rows.assign(**made, probability=probabilities(config, scores[split])))
        pd.concat(tables).to_parquet(folder / SCORES, index=False)
        tested = patches[patches["part"] == TEST]
        slice_by = slice_columns(tested, config.slices.columns)
        try:
            judged = judge(config, val=val, test=test, groups=groups, rows=tested, slice_by=slice_by)
        except NoOperatingThreshold as error:
            return _refusal(run, error.code, str(error), champion_version)
        with run.folder("check_baseline") as checked:
            small_scorer = Scorer(load_network(checked / BASELINE))
        small_scores = small_scorer(splits[VAL])
        small_threshold = operating_threshold(config, splits[VAL].labels, small_scores).value
        validation = compare_on_validation(config, val[0], groups_in(run, VAL), val[1], small_scores)
        ours = ScoredModel(scores[TEST], judged.threshold.value)

        def compared(theirs: ScoredModel) -> Comparison:
            return compare_on_test(config, splits[TEST].labels, groups, ours=ours, theirs=theirs)

        baseline = compared(ScoredModel(small_scorer(splits[TEST]), small_threshold))
        # Before the export: a champion that is damaged, or not signed, ends the stage, and the export takes longer than all the rest.
        champion = _champion_on(run, champion_version, splits[TEST], compared)
        (folder / "curves.json").write_text(json.dumps(asdict(curves(val, test))), encoding="utf-8")

        export_bundle(run, network, folder / BUNDLE, threshold=judged.threshold.value, scores=scores, scorer=scorer)
        write_explanations(run, network, splits[TEST], judged.threshold.value, folder)
        unlike = labels_unlike_champion(run, champion_version)
        corrected = by_labels_before_and_after(run, *test, judged.threshold.value)
        return StageResult(
            "evaluate",
            outputs={
                **judged.as_dict(config),
                "baseline": replace(baseline, on_validation=validation).as_dict(),
                "champion": champion,
                "corrected_labels": corrected.as_dict() if corrected else None,
                "labels_unlike_champion": unlike.as_dict() if unlike else None,
                "patches": len(splits[TEST]),
                "defects": int(splits[TEST].labels.sum()),
                "groups": len(set(groups)),
                "version": run.version,
            },
        )

    return conclude_if_ended(
        run, run.perform("evaluate", {**run.after("fine_tune"), "champion": champion_version}, work)
    )


def _champion_to_compare(run: Run) -> str | None:
    """Return the champion to compare with: the current one, or for a published version the one that it was compared with.

    A run that is repeated after publishing would otherwise be compared with itself or a later version, and its metrics would
    differ from those of the version, which never change.
    """
    registry = run.registry
    if registry.holds(run.version):
        return registry.metadata(run.version).get("parent_champion")
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
        network = load_network(folder / KERAS_MODEL)
        threshold = json.loads((folder / THRESHOLD).read_text(encoding="utf-8"))["threshold"]
    return {"version": version, **compared(ScoredModel(score(network, test), threshold)).as_dict()}
