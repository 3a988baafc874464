"""Curves and heat maps from the run of a version; empty where the run has been deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from steel_training.report.formatting import NAMES, bound_of, is_met, is_number, number
from steel_training.report.precision_recall import PrecisionRecall
from steel_training.report.precision_recall import precision_recall as draw_curves
from steel_training.report.target_chart import dots_and_bounds
from steel_training.runs.result import REPORT, RUNS
from steel_training.storage import ObjectNotFound, Storage

_KINDS = {"missed": "Missed defect", "false_alarm": "False alarm"}


@dataclass(frozen=True)
class Mistake:
    """One misclassified patch.

    Attributes:
        title: missed defect or false alarm.
        pictures: keys in the store: the patch and its heat map.
        lines: score, kind of defect, name of the patch.
    """

    title: str
    pictures: Sequence[str]
    lines: Sequence[str]


def report_key(store: Storage, run_id: str | None, fallback: str | None = None) -> str | None:
    """Return the key of a run's report, else the copy in the bundle; None where neither exists."""
    if run_id:
        key = f"{RUNS}/{run_id}/{REPORT}"
        if store.exists(key):
            return key
    return fallback if fallback and store.exists(fallback) else None


def mistakes(store: Storage, run_id: str) -> tuple[list[Mistake], list[Mistake]]:
    """Return the missed defects and the false alarms of a run, worst first."""
    found = _json(store, f"{RUNS}/{run_id}/evaluate/attention/index.json")
    by_kind: dict[str, list[Mistake]] = {"missed": [], "false_alarm": []}
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, Mapping) and (kind := str(entry.get("kind"))) in by_kind:
            by_kind[kind].append(_mistake(run_id, entry))
    return by_kind["missed"], by_kind["false_alarm"]


def precision_recall(
    store: Storage, models: Sequence[tuple[str, Mapping[str, Any]]], targets: Mapping[str, Any]
) -> str | None:
    """Draw precision against recall on the test split, with the operating points.

    Args:
        store: holds the runs.
        models: (name, its `gate.json` or decision), up to three.
        targets: drawn as lines.

    Returns:
        An SVG element; `None` where no run has curves.
    """
    curves: list[PrecisionRecall] = []
    for name, known in models:
        points = _json(store, f"{RUNS}/{known.get('run_id')}/evaluate/curves.json") if known.get("run_id") else None
        curve = points.get("pr") if isinstance(points, Mapping) else None
        line = [curve.get(axis) for axis in ("recall", "precision")] if isinstance(curve, Mapping) else []
        if len(line) != 2 or not all(isinstance(axis, list) and all(map(is_number, axis)) for axis in line):
            continue
        if len(line[0]) != len(line[1]):
            continue
        point = (_value(known, "recall"), _value(known, "precision"))
        curves.append(PrecisionRecall(name, line[0], line[1], point))
    return draw_curves(curves, targets) if curves else None


def against_targets(metrics: Mapping[str, Any], targets: Mapping[str, Any], evidence: Any) -> str | None:
    """Draw the judged metrics as dots with bounds and targets."""
    rows = []
    for name in ("recall", "f2", "precision", "auc"):
        estimate, target = metrics.get(name), targets.get(name)
        if isinstance(estimate, Mapping):
            target = float(target) if is_number(target) else None
            met = target is not None and is_met(estimate, target, str(evidence))
            rows.append((name, NAMES[name], estimate.get("value"), bound_of(estimate), target, met))
    return dots_and_bounds(rows) if rows else None


def drawing(svg: str | None) -> Markup | None:
    """Mark an SVG of this package as safe; its texts were escaped when it was drawn."""
    return Markup(svg) if svg is not None else None  # noqa: S704  # nosec B704


def _mistake(run_id: str, entry: Mapping[str, Any]) -> Mistake:
    top = f"{RUNS}/{run_id}/evaluate/attention"
    score = f"score {number(entry.get('score'), 3)}"
    if is_number(entry.get("probability")):
        score += f" · probability {number(entry['probability'], 3)}"
    lines = [score, *(str(entry[name]) for name in ("defect_type", "patch_id") if entry.get(name))]
    return Mistake(
        _KINDS[entry["kind"]], [f"{top}/{entry[name]}" for name in ("patch", "overlay") if entry.get(name)], lines
    )


def _value(known: Mapping[str, Any], name: str) -> float:
    estimate = (known.get("metrics") or {}).get(name)
    value = estimate.get("value") if isinstance(estimate, Mapping) else None
    return float(value) if is_number(value) else float("nan")  # type: ignore[arg-type]


def _json(store: Storage, key: str) -> Any:
    try:
        return store.read_json(key)
    except (ObjectNotFound, json.JSONDecodeError, UnicodeDecodeError):
        return None
