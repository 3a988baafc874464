"""The charts of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from steel_training.evaluation.curves import Curves
from steel_training.evaluation.learning_curve import LearningCurve
from steel_training.report.blocks import Figure
from steel_training.report.formatting import duration, is_number, number
from steel_training.report.precision_recall import PrecisionRecall, precision_recall
from steel_training.report.svg import BLUE, GREEN, GREY, ORANGE, PINK, Chart

SPLIT_COLORS = (("train", BLUE), ("val", ORANGE), ("test", GREEN))


def curves(points: Curves, evaluated: Mapping[str, Any]) -> list[Figure]:
    """Draw precision-recall and ROC on the test split, and the threshold sweep on the validation split."""
    counts, targets, threshold = evaluated["counts"], evaluated["targets"], evaluated["threshold"]["value"]
    recall, precision = (_value(evaluated, name) for name in ("recall", "precision"))
    clean = max(1, counts["fp"] + counts["tn"])
    pr = PrecisionRecall("this model", points.pr.recall, points.pr.precision, (recall, precision))
    roc = Chart(
        "ROC curve on the test split",
        ("false positive rate", 0, 1),
        ("true positive rate (recall)", 0, 1),
    )
    roc.line([0, *points.roc.fpr], [0, *points.roc.tpr], BLUE, "this model")
    roc.line([0, 1], [0, 1], GREY, "chance")
    roc.point(counts["fp"] / clean, recall, ORANGE, "at the operating threshold", "diamond")
    sweep = Chart(
        "Recall, precision and F2 by threshold on the validation split", ("threshold", 0, 1), ("on validation", 0, 1)
    )
    by = points.sweep
    for name, values, color in (("recall", by.recall, BLUE), ("precision", by.precision, ORANGE), ("F2", by.f2, GREEN)):
        sweep.line(by.threshold, values, color, name)
    sweep.vertical(threshold, f"chosen: {number(threshold)}")
    return [
        Figure(precision_recall([pr], targets), "Precision-recall (test split)"),
        Figure(roc.svg(), "ROC (test split)"),
        Figure(sweep.svg(), "Threshold choice (validation split)"),
    ]


def scores_by_class(scores: pd.DataFrame, threshold: float) -> Figure:
    """Draw histograms of the test scores by class, with logarithmic counts."""
    test = scores[scores["part"] == "test"]
    edges = np.linspace(0, 1, 41)
    by = {c: np.histogram(test.loc[test["label"] == c, "score"], edges)[0] for c in (0, 1)}
    top = max(10, *(int(counts.max()) for counts in by.values()))
    chart = Chart("Scores of clean and defective test patches", ("score", 0, 1), ("patches", 0.8, top), log_y=True)
    chart.steps(edges.tolist(), by[0].tolist(), BLUE, "clean")
    chart.steps(edges.tolist(), by[1].tolist(), ORANGE, "defective")
    chart.vertical(threshold, f"threshold {number(threshold)}")
    return Figure(chart.svg(), "Scores on the test split: defects left of the threshold are missed")


def reliability(calibration: Mapping[str, Any]) -> Figure:
    """Draw the reliability diagram: observed share of defects by predicted probability."""
    chart = Chart("Observed share of defects by predicted probability", ("predicted", 0, 1), ("observed", 0, 1))
    known = [b for b in calibration["bins"] if is_number(b["predicted"]) and is_number(b["observed"])]
    chart.line([0, 1], [0, 1], GREY, "perfect")
    chart.line([b["predicted"] for b in known], [b["observed"] for b in known], BLUE, "this model")
    for b in known:
        chart.point(b["predicted"], b["observed"], BLUE)
    return Figure(chart.svg(), f"Calibration: expected calibration error {number(calibration['ece'], 3)}")


def history(stage: str, values: Mapping[str, Sequence[float]], best: int) -> list[Figure]:
    """Draw loss and validation metrics by epoch; the kept epoch is marked."""
    epochs = range(1, len(values["loss"]) + 1)
    last = max(2, len(epochs))
    losses = [v for name in ("loss", "val_loss") for v in values.get(name, ())]
    loss = Chart(
        f"Loss by epoch, {stage}", ("epoch", 1, last), ("loss", 0, max(losses, default=1) * 1.05), whole_x=True
    )
    validation = Chart(f"Validation by epoch, {stage}", ("epoch", 1, last), ("on validation", 0, 1), whole_x=True)
    for chart, names in (
        (loss, (("loss", "training", BLUE), ("val_loss", "validation", ORANGE))),
        (validation, (("val_recall", "recall at the precision target", BLUE), ("val_pr_auc", "average precision", ORANGE), ("val_auc", "AUC", GREEN))),
    ):  # fmt: skip
        for key, name, color in names:
            if key in values:
                chart.line(list(epochs), values[key], color, name)
                chart.point(max(best, 1), values[key][max(best, 1) - 1], color)
        if best:
            chart.vertical(best, f"kept: epoch {best}")
    return [Figure(loss.svg(), f"{stage}: loss"), Figure(validation.svg(), f"{stage}: validation")]


def by_split(profile: pd.DataFrame, name: str, *, unit: str) -> Figure:
    """Draw the distribution of a property in each split, in percent of the split's patches.

    Args:
        profile: one row per patch; `part` is its split.
        name: column of the property.
        unit: of the property.
    """
    known = pd.to_numeric(profile[name], errors="coerce").astype(float)
    finite = known.dropna()
    low, high = (float(v) for v in np.quantile(finite, [0.002, 0.998])) if len(finite) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, 31)
    shares = {}
    for split, _ in SPLIT_COLORS:
        values = known[profile["part"] == split].dropna().clip(edges[0], edges[-1])
        if len(values):
            shares[split] = 100 * np.histogram(values, edges)[0] / len(values)
    top = max((float(share.max()) for share in shares.values()), default=1.0)
    chart = Chart(
        f"{name} by split", (f"{name} ({unit})", float(edges[0]), float(edges[-1])), ("% of the split", 0, top * 1.05)
    )
    for split, color in SPLIT_COLORS:
        if split in shares:
            chart.steps(edges.tolist(), shares[split].tolist(), color, split)
    return Figure(chart.svg(), name.capitalize())


def learning(curve: LearningCurve) -> Figure:
    """Draw false alarms by the number of training groups."""
    groups = [point.groups for point in curve.points]
    alarms = [point.false_alarms_per_1000 for point in curve.points]
    chart = Chart(
        "False alarms by number of training groups",
        ("training groups", 0, groups[-1] * 1.05),
        ("false alarms per 1,000 clean", 0, max(*alarms, 1.0) * 1.1),
        whole_x=True,
    )
    chart.line(groups, alarms, BLUE)
    for x, y in zip(groups, alarms, strict=True):
        chart.point(x, y, BLUE)
    return Figure(chart.svg(), f"At recall {curve.recall:g} on the validation split, by the number of training groups")


def seconds(rows: Sequence[tuple[str, float]]) -> Figure:
    """Draw the duration of every stage as a bar."""
    longest = max((taken for _, taken in rows), default=1) or 1
    made = []
    for place, (stage, taken) in enumerate(rows):
        y = 14 + 26 * place
        made.append(f'<text x="0" y="{y}">{escape(stage)}</text>')
        width = max(1.0, 190 * taken / longest)
        made.append(f'<rect x="130" y="{y - 11}" width="{width:.1f}" height="14" fill="{PINK}"/>')
        made.append(f'<text x="{136 + width:.1f}" y="{y}">{duration(taken)}</text>')
    title = escape("Duration of every stage: " + ", ".join(f"{stage} {duration(taken)}" for stage, taken in rows))
    svg = f'<svg viewBox="0 0 440 {26 * len(rows)}" role="img" aria-label="{title}"><title>{title}</title>{"".join(made)}</svg>'
    return Figure(svg, f"{duration(sum(taken for _, taken in rows))} in total")


def _value(evaluated: Mapping[str, Any], name: str) -> float:
    value = evaluated["metrics"].get(name, {}).get("value")
    return float(value) if is_number(value) else float("nan")
