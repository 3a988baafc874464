"""The charts of the report, each from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from steel_training.report.blocks import Figure
from steel_training.report.formatting import duration, is_number, number
from steel_training.report.svg import BLUE, GREEN, GREY, ORANGE, PINK, Chart

PARTS = (("train", BLUE), ("val", ORANGE), ("test", GREEN))


def curves(points: Mapping[str, Any], evaluated: Mapping[str, Any]) -> list[Figure]:
    """Draws precision-recall and ROC of the test part, and the threshold sweep of validation."""
    counts, targets, threshold = evaluated["counts"], evaluated["targets"], evaluated["threshold"]["value"]
    recall, precision = (_value(evaluated, name) for name in ("recall", "precision"))
    clean = max(1, counts["fp"] + counts["tn"])
    pr = Chart("Precision against recall on the test part", ("recall", 0, 1), ("precision", 0, 1))
    pr.line(points["pr"]["recall"], points["pr"]["precision"], BLUE, "this model")
    if targets.get("recall") is not None:
        pr.vertical(targets["recall"], f"recall target {targets['recall']:g}")
    if targets.get("precision") is not None:
        pr.horizontal(targets["precision"], f"precision target {targets['precision']:g}")
    pr.point(recall, precision, ORANGE, "at the operating threshold", "diamond")
    roc = Chart(
        "Defects found against false alarms on the test part",
        ("false alarms among clean", 0, 1),
        ("defects found", 0, 1),
    )
    roc.line([0, *points["roc"]["fpr"]], [0, *points["roc"]["tpr"]], BLUE, "this model")
    roc.line([0, 1], [0, 1], GREY, "guessing")
    roc.point(counts["fp"] / clean, recall, ORANGE, "at the operating threshold", "diamond")
    sweep = Chart("Recall, precision and F2 by threshold on validation", ("threshold", 0, 1), ("on validation", 0, 1))
    for name, color in (("recall", BLUE), ("precision", ORANGE), ("f2", GREEN)):
        sweep.line(points["sweep"]["threshold"], points["sweep"][name], color, {"f2": "F2"}.get(name, name))
    sweep.vertical(threshold, f"chosen: {number(threshold)}")
    return [
        Figure(pr.svg(), "Precision and recall (test)"),
        Figure(roc.svg(), "ROC (test)"),
        Figure(sweep.svg(), "Choice of the threshold (validation)"),
    ]


def scores_by_class(scores: pd.DataFrame, threshold: float) -> Figure:
    """Draws the test scores of clean and defective patches, logarithmic counts."""
    test = scores[scores["part"] == "test"]
    edges = np.linspace(0, 1, 41)
    by = {c: np.histogram(test.loc[test["label"] == c, "score"], edges)[0] for c in (0, 1)}
    top = max(10, *(int(counts.max()) for counts in by.values()))
    chart = Chart("Scores of clean and defective test patches", ("score", 0, 1), ("patches", 0.8, top), log_y=True)
    chart.steps(edges.tolist(), by[0].tolist(), BLUE, "clean")
    chart.steps(edges.tolist(), by[1].tolist(), ORANGE, "defective")
    chart.vertical(threshold, f"threshold {number(threshold)}")
    return Figure(chart.svg(), "Scores on the test part: defects left of the threshold are missed")


def reliability(calibration: Mapping[str, Any]) -> Figure:
    """Draws how often patches of a probability were defective."""
    chart = Chart("Observed share of defects by predicted probability", ("predicted", 0, 1), ("observed", 0, 1))
    known = [b for b in calibration["bins"] if is_number(b["predicted"]) and is_number(b["observed"])]
    chart.line([0, 1], [0, 1], GREY, "perfect")
    chart.line([b["predicted"] for b in known], [b["observed"] for b in known], BLUE, "this model")
    for b in known:
        chart.point(b["predicted"], b["observed"], BLUE)
    return Figure(chart.svg(), f"Calibration: expected error {number(calibration['ece'], 3)}")


def history(stage: str, values: Mapping[str, Sequence[float]], best: int) -> list[Figure]:
    """Draws the loss, and what validation says, by epoch; the kept epoch is marked."""
    epochs = range(1, len(values["loss"]) + 1)
    last = max(2, len(epochs))
    losses = [v for name in ("loss", "val_loss") for v in values.get(name, ())]
    loss = Chart(
        f"Loss by epoch, {stage}", ("epoch", 1, last), ("loss", 0, max(losses, default=1) * 1.05), whole_x=True
    )
    watched = Chart(f"Validation by epoch, {stage}", ("epoch", 1, last), ("on validation", 0, 1), whole_x=True)
    for chart, names in (
        (loss, (("loss", "training", BLUE), ("val_loss", "validation", ORANGE))),
        (watched, (("val_recall", "recall at the precision target", BLUE), ("val_pr_auc", "average precision", ORANGE), ("val_auc", "AUC", GREEN))),
    ):  # fmt: skip
        for key, name, color in names:
            if key in values:
                chart.line(list(epochs), values[key], color, name)
                chart.point(max(best, 1), values[key][max(best, 1) - 1], color)
        if best:
            chart.vertical(best, f"kept: epoch {best}")
    return [Figure(loss.svg(), f"{stage}: loss"), Figure(watched.svg(), f"{stage}: validation")]


def by_part(profile: pd.DataFrame, name: str, *, unit: str) -> Figure:
    """Draws how a measured property is distributed in each part, as shares of the part."""
    known = pd.to_numeric(profile[name], errors="coerce").astype(float)
    finite = known.dropna()
    low, high = (float(v) for v in np.quantile(finite, [0.002, 0.998])) if len(finite) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, 31)
    shares = {}
    for part, _ in PARTS:
        values = known[profile["part"] == part].dropna().clip(edges[0], edges[-1])
        if len(values):
            shares[part] = 100 * np.histogram(values, edges)[0] / len(values)
    top = max((float(share.max()) for share in shares.values()), default=1.0)
    chart = Chart(
        f"{name} by part", (f"{name} ({unit})", float(edges[0]), float(edges[-1])), ("% of the part", 0, top * 1.05)
    )
    for part, color in PARTS:
        if part in shares:
            chart.steps(edges.tolist(), shares[part].tolist(), color, part)
    return Figure(chart.svg(), name.capitalize())


def seconds(rows: Sequence[tuple[str, float]]) -> Figure:
    """Draws how long every stage took, one bar a stage."""
    longest = max((taken for _, taken in rows), default=1) or 1
    made = []
    for place, (stage, taken) in enumerate(rows):
        y = 14 + 26 * place
        made.append(f'<text x="0" y="{y}">{escape(stage)}</text>')
        width = max(1.0, 190 * taken / longest)
        made.append(f'<rect x="130" y="{y - 11}" width="{width:.1f}" height="14" fill="{PINK}"/>')
        made.append(f'<text x="{136 + width:.1f}" y="{y}">{duration(taken)}</text>')
    title = escape("Time of every stage: " + ", ".join(f"{stage} {duration(taken)}" for stage, taken in rows))
    svg = f'<svg viewBox="0 0 440 {26 * len(rows)}" role="img" aria-label="{title}"><title>{title}</title>{"".join(made)}</svg>'
    return Figure(svg, f"{duration(sum(taken for _, taken in rows))} in all")


def _value(evaluated: Mapping[str, Any], name: str) -> float:
    value = evaluated["metrics"].get(name, {}).get("value")
    return float(value) if is_number(value) else float("nan")
