"""Sections on how the model was judged, from the outputs of `evaluate` and `verify_bundle`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from steel_training.config import JUDGED
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
    """Metrics against targets, with bounds: as a picture, and in numbers."""
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
                    "Dot or diamond: test part. Whisker: one-sided bound. Upright bar: target. The "
                    f"{'bound' if evidence == 'bound' else 'figure itself'} is what is judged.",
                )
            ]
        ),
        Table("In numbers", ("Metric", "Test", "One-sided bound", "Target"), rows),
        Text(f"Threshold {number(threshold['value'])}, chosen on validation: {threshold['note']}."),
    ]
    declared = evaluated.get("prevalence")
    if declared:
        precision = declared["precision"]
        blocks.append(
            Text(
                f"Where {percent(declared['declared'])} of patches are defective, as declared for the line, precision is "
                f"{number(precision['value'])} (bound {number(bound_of(precision))})."
            )
        )
    return Section("figures", "On photographs never seen in training", blocks)


def mistakes(found: Sequence[Mistake], evaluated: _Outputs) -> list[Section]:
    """Missed defects, then the worst false alarms, each beside what the model looked at."""
    counts = evaluated["counts"]
    made = []
    for kind, anchor, title, total, none in (
        ("missed", "missed", "Missed defects", counts["fn"], "No defect of the test part was missed."),
        ("false_alarm", "alarms", "Worst false alarms", counts["fp"], "No clean patch of the test part was called defective."),
    ):  # fmt: skip
        shown = [mistake for mistake in found if mistake.kind == kind]
        if shown:
            told = f"{len(shown)} of {total} shown, worst first. Left the patch, right what raised its score: bright places, a white line around the strongest."
            blocks: list[Block] = [Text(told), Gallery([mistake.picture for mistake in shown])]
        elif total:
            blocks = [Text(f"{total} in all; this run kept no pictures of them.")]
        else:
            blocks = [Text(none)]
        made.append(Section(anchor, title, blocks))
    return made


def confusion(evaluated: _Outputs) -> Section:
    """Confusion matrices of patches and of photographs, and the review band."""
    blocks: list[Block] = [_matrix("Patches", "patches", evaluated["counts"])]
    sources = evaluated.get("sources")
    if sources:
        blocks.append(_matrix("Photographs: defective when one of their patches is", "photographs", sources["counts"]))
        found = sources["metrics"]
        rows = [(NAMES.get(n, n), metric(n, e["value"]), metric(n, bound_of(e))) for n, e in found.items()]
        blocks.append(Details("Metrics of photographs", [Table("", ("Metric", "Test", "One-sided bound"), rows)]))
    band = evaluated.get("review")
    if band:
        bands = [
            ("Passed", f"{band['passed']:,}", f"score below {number(band['low'])}", f"{band['missed_below']} defects among them"),
            ("Seen by a person", f"{band['reviewed']:,}", f"{number(band['low'])} to {number(band['high'])}", percent(band["share"])),
            ("Rejected", f"{band['rejected']:,}", f"from {number(band['high'])}", f"{band['false_above']} clean among them"),
        ]  # fmt: skip
        blocks += [
            Table("Review band", ("", "Test patches", "Score", ""), bands, numeric=False),
            Text(band.get("note") or ""),
        ]
    return Section("confusion", "Confusion matrix", blocks)


def curves(points: _Outputs, evaluated: _Outputs, scores: pd.DataFrame | None) -> Section:
    """Precision-recall, ROC, threshold sweep, calibration, scores."""
    figures = charts.curves(points, evaluated)
    if evaluated.get("calibration"):
        figures.append(charts.reliability(evaluated["calibration"]))
    if scores is not None:
        figures.append(charts.scores_by_class(scores, evaluated["threshold"]["value"]))
    return Section("curves", "Curves", [Figures(figures)])


def rivals(evaluated: _Outputs) -> Section:
    """Baseline, this model and the champion on the same patches, each at its own threshold."""
    names = [name for name in ("recall", "f2", "precision", "auc", "average_precision") if name in evaluated["metrics"]]
    rows = [("This model", *(number(evaluated["metrics"][name]["value"]) for name in names))]
    differences = []
    for who, rival in (("Baseline CNN", evaluated["baseline"]), ("Champion", evaluated.get("champion"))):
        if not rival:
            continue
        title = f"{who} {rival['version']}" if "version" in rival else who
        rows.append((title, *(number(rival.get(name)) for name in names)))
        differences += [
            (f"{title}: {NAMES.get(name, name)}", signed(d["value"]), signed(bound_of(d)))
            for name, d in (rival.get("difference") or {}).items()
        ]
    head = ("", *(NAMES[name] for name in names))
    blocks: list[Block] = [Table("On the same test patches", head, rows)]
    if differences:
        blocks.append(
            Table("This model minus the other, paired by group", ("", "Difference", "One-sided bound"), differences)
        )
    validation = (evaluated["baseline"] or {}).get("on_validation")
    if validation:
        blocks.append(
            Text(
                f"On validation this model's AUC is {number(validation['ours'])}, that of the baseline CNN {number(validation['theirs'])}: "
                f"difference {signed(validation['value'])}, {percent(validation['confidence'])} interval {signed(validation['low'])} to "
                f"{signed(validation['high'])}, paired by group."
            )
        )
    if not evaluated.get("champion"):
        blocks.append(Text("There is no champion to meet."))
    return Section("rivals", "Against baseline and champion", blocks)


def slices(evaluated: _Outputs) -> list[Section]:
    """Metrics by metadata column, the worst supported slice named."""
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
    """What a clean process found in the exported bundle."""
    latency = verified.get("latency_ms") or {}
    rows = [
        ("Golden samples replayed", str(verified.get("golden", "unknown"))),
        ("Largest difference of a score", number(verified.get("max_difference"), 7)),
        ("Labels that differ", str(verified.get("labels_differ", "unknown"))),
        ("A corrupt image is", str(verified.get("corrupt_image", "not tried"))),
        ("An odd-sized image is", str(verified.get("odd_size_image", "not tried"))),
        ("Latency of one patch, p50 / p95", f"{number(latency.get('p50'), 1)} / {number(latency.get('p95'), 1)} ms"),
        ("Throughput", f"{number(verified['throughput_per_s'], 0)} patches/s" if is_number(verified.get("throughput_per_s")) else "not measured"),
        ("Memory", f"{number(verified['memory_mb'], 0)} MB" if is_number(verified.get("memory_mb")) else "not measured"),
    ]  # fmt: skip
    blocks: list[Block] = [Table("Replayed in a clean process", ("Check", "Found"), rows)]
    lite = [_lite(name, found) for name, found in (verified.get("lite") or {}).items()]
    if lite:
        head = ("Format", "", "Size", "Score difference", "Recall drop", "p50 ms", "Why")
        blocks.append(Table("Small formats", head, lite, numeric=False))
    return Section("bundle", "Bundle", blocks)


def _matrix(caption: str, what: str, c: Mapping[str, int]) -> Table:
    return Table(
        caption,
        (f"{c['tp'] + c['fn'] + c['fp'] + c['tn']:,} {what}", "Called defective", "Called clean"),
        [
            ("Defective", f"{c['tp']:,} found", f"{c['fn']:,} missed"),
            ("Clean", f"{c['fp']:,} false alarms", f"{c['tn']:,} passed"),
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
