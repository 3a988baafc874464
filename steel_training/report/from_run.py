"""Builds the report of a run from the outputs and files of its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from steel_training.data.splits import TEST, VAL
from steel_training.errors import SteelTrainingError
from steel_training.evaluation.curves import Curves
from steel_training.evaluation.evaluate import operating_threshold
from steel_training.evaluation.threshold import NoOperatingThreshold
from steel_training.labels.agreement import Agreement, agreements
from steel_training.labels.answers import read_answers
from steel_training.report import label_sections
from steel_training.report.blocks import Picture, SideBySide
from steel_training.report.formatting import number
from steel_training.report.leakage_sections import pairs_in
from steel_training.report.page import render
from steel_training.report.record import Mistake, RunRecord
from steel_training.runs.artifacts import LABELS, PATCHES, PROFILE, SCORES, table_of
from steel_training.runs.lineage import reproduce
from steel_training.runs.result import REPORT, STAGES, StageResult, Status
from steel_training.runs.run import Run
from steel_training.storage.declared import read_declared
from steel_training.training import explanations
from steel_training.verdict import Reason, Verdict

_PROFILED = ("part", "brightness", "contrast", "sharpness", "width", "height", "mode", "format")
_TITLES = {explanations.MISSED: "Missed defect", explanations.FALSE_ALARM: "False alarm"}


def write_report(run: Run, verdict: Verdict | None, reasons: Sequence[Reason], version: str | None) -> RunRecord:
    """Render the report from the stages finished so far, write it, and return what it was rendered from."""
    record = read_record(run, verdict, reasons, version)
    run.store.write(run.key(REPORT), render(record).encode())
    return record


def read_record(run: Run, verdict: Verdict | None, reasons: Sequence[Reason], version: str | None) -> RunRecord:
    """Read the results and files of the finished stages."""
    # A refused model was not evaluated: it has no metrics, curves or examples to show.
    results = {
        stage: result
        for stage in STAGES
        if (result := run.find_result(stage)) is not None and result.status is not Status.REFUSED
    }
    profile = None
    if "profile_patches" in results:
        with run.folder("profile_patches") as folder:
            profile = pd.read_parquet(folder / PROFILE)
        profile = profile[[name for name in _PROFILED if name in profile]]
    judged: dict[str, Any] = {}
    if "evaluate" in results:
        with run.folder("evaluate") as folder:
            judged = {
                "curves": read_declared(folder / "curves.json", Curves),
                "scores": pd.read_parquet(folder / SCORES, columns=["patch_id", "part", "label", "score"]),
                "mistakes": _mistakes(folder / explanations.FOLDER),
            }
    evidence: list[tuple[str, SideBySide]] = []
    for stage in ("validate_patches", "check_baseline"):
        if stage in results:
            with run.folder(stage) as folder:
                evidence += pairs_in(folder)
    suspects: list[Picture] = []
    doubted = None
    if "audit_labels" in results:
        with run.folder("audit_labels") as folder:
            suspects, doubted = label_sections.pictures_in(folder), _doubted(folder / LABELS)
    agreements, answers_problem = _agreements(run, judged.get("scores"), results)
    return RunRecord(
        run_id=run.run_id,
        verdict=verdict,
        reasons=reasons,
        version=version,
        results=results,
        profile=profile,
        evidence=evidence,
        suspects=suspects,
        doubted=doubted,
        undoubted_threshold=_undoubted_threshold(run, judged.get("scores"), doubted),
        agreements=agreements,
        answers_problem=answers_problem,
        reproduce=reproduce(run),
        **judged,
    )


def _doubted(table: Path) -> frozenset[str] | None:
    """Return the patches whose label is more likely wrong than right; `None` where the labels could not be audited."""
    if not table.is_file():
        return None
    ranked = pd.read_parquet(table, columns=["patch_id", "label", "suggested"])
    return frozenset(ranked.loc[ranked["label"] != ranked["suggested"], "patch_id"].astype(str))


def _undoubted_threshold(run: Run, scores: pd.DataFrame | None, doubted: frozenset[str] | None) -> float | None:
    """Choose the operating threshold again, on the validation patches whose label is not doubted."""
    if scores is None or not doubted:
        return None
    val = scores[scores["part"] == VAL]
    sure = val[~val["patch_id"].isin(list(doubted))]
    if len(sure) == len(val):
        return None
    try:
        return operating_threshold(run.config, sure["label"].to_numpy(int), sure["score"].to_numpy(float)).value
    except NoOperatingThreshold:
        return None


def _agreements(
    run: Run, scores: pd.DataFrame | None, results: Mapping[str, StageResult]
) -> tuple[list[Agreement], str]:
    """Compare labels, reviewers and model on what was answered blind about this dataset; or say why answers cannot be read."""
    if "resolve_dataset" not in results:
        return [], ""
    try:
        answers = [answer for answer in read_answers(run.store) if answer.dataset == run.resolved.dataset]
    except SteelTrainingError as error:
        return [], str(error)
    if not answers:
        return [], ""
    patches = table_of(run, "resolve_dataset", PATCHES)
    names = patches["patch_id"].astype(str)
    model = None
    if scores is not None:
        # The model has learned from the other splits.
        test = scores[scores["part"] == TEST]
        called = test["score"] >= results["evaluate"].outputs["threshold"]["value"]
        model = dict(zip(test["patch_id"].astype(str), called.astype(int).tolist(), strict=True))
    labels = dict(zip(names, patches["label"].astype(int).tolist(), strict=True))
    return agreements(answers, labels, dict(zip(names, patches["group"].astype(str), strict=True)), model), ""


def _mistakes(folder: Path) -> list[Mistake]:
    path = folder / explanations.INDEX
    found = read_declared(path, list[explanations.Explanation]) if path.is_file() else []
    return [
        Mistake(
            each.kind,
            Picture(
                patch=(folder / each.patch).read_bytes(),
                overlay=(folder / each.overlay).read_bytes(),
                alt=f"{_TITLES[each.kind]}, patch {each.patch_id}",
                lines=_lines(each),
                beside=f"{_TITLES[each.kind]}, patch {each.patch_id}: heat map",
            ),
        )
        for each in found
    ]


def _lines(mistake: explanations.Explanation) -> list[str]:
    lines = [f"score {number(mistake.score, 3)}", mistake.patch_id]
    if mistake.probability is not None:
        lines[0] += f" · probability {number(mistake.probability, 3)}"
    if mistake.defect_type:
        lines.insert(1, mistake.defect_type)
    return lines
