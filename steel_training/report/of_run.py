"""Brings the report of a run together from what its stages left."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from steel_training.pixels import as_png, decode
from steel_training.records import REPORT, SCORES, STAGES, dataset_of
from steel_training.report.page import Example, render
from steel_training.run import Run, Status
from steel_training.splits import TEST
from steel_training.verdict import Reason, Verdict

SHOWN_EXAMPLES = 24


def write_report(run: Run, verdict: Verdict | None, reasons: Sequence[Reason], version: str | None) -> str:
    """Renders the report from what the run has so far, and returns its address."""
    # A refused model was not judged: it has no metrics, curves or examples to show.
    results = {
        stage: result
        for stage in STAGES
        if (result := run.find_result(stage)) is not None and result.status is not Status.REFUSED
    }
    curves, scores, examples = None, None, None
    if "evaluate" in results:
        with run.folder("evaluate") as folder:
            curves = json.loads((folder / "curves.json").read_text(encoding="utf-8"))
            scores = pd.read_parquet(folder / SCORES)
        examples = _examples(run, scores, results["evaluate"].outputs["threshold"]["value"])
    page = render(
        results,
        run_id=run.run_id,
        verdict=verdict,
        reasons=reasons,
        curves=curves,
        scores=scores,
        examples=examples,
        version=version,
    )
    run.store.write(run.key(REPORT), page.encode())
    return run.store.location(run.key(REPORT))


def _examples(run: Run, scores: pd.DataFrame, threshold: float) -> list[Example]:
    test = scores[scores["part"] == TEST]
    missed = test[(test["label"] == 1) & (test["score"] < threshold)].sort_values("score")
    false = test[(test["label"] == 0) & (test["score"] >= threshold)].sort_values("score", ascending=False)
    storage = dataset_of(run)
    return [
        Example(
            row["patch_id"], as_png(decode(storage.read(row["path"]))), int(row["label"]), float(row["score"]), kind
        )
        for kind, rows in (("missed", missed), ("false_alarm", false))
        for _, row in rows.head(SHOWN_EXAMPLES).iterrows()
    ]
