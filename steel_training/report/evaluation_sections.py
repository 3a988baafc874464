"""Report sections on the evaluation of the model, from the outputs of `evaluate` and `verify_bundle`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from steel_training.config import JUDGED
from steel_training.evaluation.curves import Curves
from steel_training.evaluation.label_difference import LabelDifference
from steel_training.report import charts
from steel_training.report.blocks import Block, Details, Figure, Figures, Gallery, Section, Table, Text
from steel_training.report.formatting import (
    NAMES,
    bound_of,
    headline,
    is_met,
    is_number,
    metric,
    number,
    percent,
    signed,
    size,
)
from steel_training.report.record import Mistake
from steel_training.report.target_chart import dots_and_bounds

_Outputs = Mapping[str, Any]
_SLICES_SHOWN = 40


def metrics(evaluated: _Outputs) -> Section:
    """Metrics against targets, with bounds: a chart and a table."""
    measured, targets, threshold = evaluated["metrics"], evaluated["targets"], evaluated["threshold"]
    evidence = evaluated.get("evidence", "point")
    reached = {
        name
        for name, target in targets.items()
        if target is not None and is_met(measured.get(name, {}), target, evidence)
    }
    judged = [
        (
            *(name, NAMES[name], measured[name]["value"], bound_of(measured[name]), targets.get(name)),
            name in reached,
        )
        for name in JUDGED
        if name in measured
    ]
    rows = []
    for name in [*JUDGED, *(name for name in NAMES if name not in JUDGED)]:
        if name not in measured:
            continue
        estimate = measured[name]
        target = targets.get(name)
        goal = "none" if target is None else f"≥ {target:g} {'✓ met' if name in reached else '✗ not met'}"
        rows.append((NAMES.get(name, name), metric(name, estimate["value"]), metric(name, bound_of(estimate)), goal))
    blocks: list[Block] = [
        Text(headline(evaluated["counts"])),
        Figures(
            [
                Figure(
                    dots_and_bounds(judged),
                    "Dot or diamond: value on the test split. Whisker: one-sided bound. Vertical bar: target. The "
                    f"{'bound' if evidence == 'bound' else 'value'} is compared with the target.",
                )
            ]
        ),
        Table("Metrics and targets", ("Metric", "Test split", "One-sided bound", "Target"), rows),
        Text(f"Operating threshold {number(threshold['value'])}, chosen on the validation split: {threshold['note']}."),
    ]
    declared = evaluated.get("prevalence")
    if declared:
        precision = declared["precision"]
        blocks.append(
            Text(
                f"At the declared defect rate of {percent(declared['declared'])} in production, precision is "
                f"{number(precision['value'])} (bound {number(bound_of(precision))})."
            )
        )
    return Section("metrics", "Metrics on the test split", blocks)


def mistakes(found: Sequence[Mistake], evaluated: _Outputs) -> list[Section]:
    """Missed defects, then the worst false alarms, each with its heat map."""
    counts = evaluated["counts"]
    made = []
    for kind, anchor, title, total, none in (
        ("missed", "missed", "Missed defects", counts["fn"], "No defect of the test split was missed."),
        ("false_alarm", "alarms", "Worst false alarms", counts["fp"], "No clean patch of the test split was predicted defective."),
    ):  # fmt: skip
        shown = [mistake for mistake in found if mistake.kind == kind]
        if shown:
            legend = f"{len(shown)} of {total} shown, worst first. Left: the patch. Right: heat map; bright regions raised the score, the strongest is outlined in white."
            blocks: list[Block] = [Text(legend), Gallery([mistake.picture for mistake in shown])]
        elif total:
            blocks = [Text(f"{total} in total; no pictures of them were kept in this run.")]
        else:
            blocks = [Text(none)]
        made.append(Section(anchor, title, blocks))
    return made


def confusion(evaluated: _Outputs) -> Section:
    """Confusion matrices of patches and of source images, and the review band."""
    blocks: list[Block] = [_matrix("Patches", "patches", evaluated["counts"])]
    sources = evaluated.get("sources")
    if sources:
        blocks.append(
            _matrix("Source images (defective if any of their patches is)", "source images", sources["counts"])
        )
        found = sources["metrics"]
        rows = [(NAMES.get(n, n), metric(n, e["value"]), metric(n, bound_of(e))) for n, e in found.items()]
        blocks.append(
            Details("Metrics of source images", [Table("", ("Metric", "Test split", "One-sided bound"), rows)])
        )
    band = evaluated.get("review")
    if band:
        bands = [
            ("Passed as clean", f"{band['passed']:,}", f"score below {number(band['low'])}", f"{band['missed_below']} of them defective"),
            ("Reviewed by a person", f"{band['reviewed']:,}", f"{number(band['low'])} to {number(band['high'])}", percent(band["share"])),
            ("Rejected as defective", f"{band['rejected']:,}", f"from {number(band['high'])}", f"{band['false_above']} of them clean"),
        ]  # fmt: skip
        blocks += [
            Table("Review band", ("", "Test patches", "Score", ""), bands, numeric=False),
            Text(band.get("note") or ""),
        ]
    return Section("confusion", "Confusion matrix", blocks)


def curves(points: Curves, evaluated: _Outputs, scores: pd.DataFrame | None) -> Section:
    """Precision-recall, ROC, threshold sweep, calibration, scores."""
    figures = charts.curves(points, evaluated)
    if evaluated.get("calibration"):
        figures.append(charts.reliability(evaluated["calibration"]))
    if scores is not None:
        figures.append(charts.scores_by_class(scores, evaluated["threshold"]["value"]))
    return Section("curves", "Curves", [Figures(figures)])


def comparison(evaluated: _Outputs) -> Section:
    """This model, the baseline CNN and the champion on the same patches, each at its own threshold."""
    names = [name for name in ("recall", "f2", "precision", "auc", "average_precision") if name in evaluated["metrics"]]
    rows = [("This model", *(number(evaluated["metrics"][name]["value"]) for name in names))]
    differences = []
    for who, other in (("Baseline CNN", evaluated["baseline"]), ("Champion", evaluated.get("champion"))):
        if not other:
            continue
        title = f"{who} {other['version']}" if "version" in other else who
        rows.append((title, *(number(other.get(name)) for name in names)))
        differences += [
            (f"{title}: {NAMES.get(name, name)}", signed(d["value"]), signed(bound_of(d)))
            for name, d in (other.get("difference") or {}).items()
        ]
    head = ("", *(NAMES[name] for name in names))
    blocks: list[Block] = [Table("On the same test patches", head, rows)]
    if differences:
        blocks.append(
            Table(
                "Difference: this model minus the other, paired by group",
                ("", "Difference", "One-sided bound"),
                differences,
            )
        )
    validation = (evaluated["baseline"] or {}).get("on_validation")
    if validation:
        blocks.append(
            Text(
                f"AUC on the validation split: this model {number(validation['ours'])}, baseline CNN {number(validation['theirs'])}; "
                f"difference {signed(validation['value'])}, {percent(validation['confidence'])} interval {signed(validation['low'])} to "
                f"{signed(validation['high'])}, paired by group."
            )
        )
    if unlike := evaluated.get("labels_unlike_champion"):  # runs before 2026-11-29 do not know
        difference = LabelDifference.from_dict(unlike)
        blocks.append(Text(difference.sentence, "warn" if difference.problem else ""))
    if not evaluated.get("champion"):
        blocks.append(Text("There is no champion to compare with."))
    return Section("comparison", "Comparison with baseline and champion", blocks)


def slices(evaluated: _Outputs) -> list[Section]:
    """Metrics by metadata column, and the worst slice that has enough defects."""
    found = evaluated.get("slices")
    if not found:
        return []
    worst = evaluated.get("worst_slice")
    ordered = sorted(
        found, key=lambda s: (not s["supported"], s["recall"]["value"] if is_number(s["recall"]["value"]) else 2)
    )
    rows = [
        (
            f"{s['column']} = {s['value']}" + (" ← worst" if worst and (s["column"], s["value"]) == (worst["column"], worst["value"]) else ""),
            f"{s['patches']:,}", f"{s['defects']:,}",
            *(f"{metric(n, s[n]['value'])} ({metric(n, bound_of(s[n]))})" for n in ("recall", "precision", "false_alarms_per_1000")),
            "" if s["supported"] else "too few to judge",
        )
        for s in ordered
    ]  # fmt: skip
    head = ("Slice", "Patches", "Defects", "Recall (bound)", "Precision (bound)", "False alarms per 1,000 (bound)", "")
    blocks: list[Block] = []
    if worst:
        blocks.append(
            Text(
                f"Worst: {worst['column']} = {worst['value']}, recall {number(worst['recall']['value'])} over {worst['defects']} defects."
            )
        )
    blocks.append(Table("Lowest recall first", head, rows[:_SLICES_SHOWN]))
    if len(rows) > _SLICES_SHOWN:
        blocks.append(Details(f"{len(rows) - _SLICES_SHOWN} more slices", [Table("", head, rows[_SLICES_SHOWN:])]))
    return [Section("slices", "Slices", blocks)]


def bundle(verified: _Outputs) -> Section:
    """Check of the exported bundle in a clean process."""
    latency = verified.get("latency_ms") or {}
    rows = [
        ("Golden samples scored", str(verified.get("golden", "unknown"))),
        ("Largest score difference", number(verified.get("max_difference"), 7)),
        ("Predicted labels that differ", str(verified.get("labels_differ", "unknown"))),
        ("Corrupt image", str(verified.get("corrupt_image", "not tested"))),
        ("Image of another size", str(verified.get("odd_size_image", "not tested"))),
        ("Latency per patch, p50 / p95", f"{number(latency.get('p50'), 1)} / {number(latency.get('p95'), 1)} ms"),
        ("Throughput", f"{number(verified['throughput_per_s'], 0)} patches/s" if is_number(verified.get("throughput_per_s")) else "not measured"),
        ("Peak memory", f"{number(verified['memory_mb'], 0)} MB" if is_number(verified.get("memory_mb")) else "not measured"),
    ]  # fmt: skip
    blocks: list[Block] = [Table("Golden samples scored in a clean process", ("Check", "Result"), rows)]
    lite = [_lite(name, found) for name, found in (verified.get("lite") or {}).items()]
    if lite:
        head = ("Format", "", "Size", "Score difference", "Recall drop", "p50 ms", "Reason")
        blocks.append(Table("LiteRT files", head, lite, numeric=False))
    return Section("bundle", "Bundle", blocks)


def _matrix(caption: str, what: str, c: Mapping[str, int]) -> Table:
    return Table(
        caption,
        (f"{c['tp'] + c['fn'] + c['fp'] + c['tn']:,} {what}", "Predicted defective", "Predicted clean"),
        [
            ("Defective", f"{c['tp']:,} found", f"{c['fn']:,} missed"),
            ("Clean", f"{c['fp']:,} false alarms", f"{c['tn']:,} correct"),
        ],
    )


def _lite(name: str, found: _Outputs) -> tuple[str, ...]:
    return (
        f"LiteRT {name}",
        "included" if found["included"] else "left out",
        size(found.get("bytes")),
        number(found.get("max_difference"), 5),
        number(found.get("recall_drop")),
        number((found.get("latency_ms") or {}).get("p50"), 1),
        found.get("reason") or "",
    )
