"""How the report formats numbers, metrics and durations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeGuard, TypeVar

Value = TypeVar("Value")

NAMES = {
    "recall": "Recall",
    "f2": "F2",
    "precision": "Precision",
    "auc": "AUC",
    "average_precision": "Average precision",
    "specificity": "Specificity",
    "false_alarms_per_1000": "False alarms per 1,000 clean",
}

FOUND = {
    "data.label_contradicts_defect_type": "Labels contradict defect_type",
    "data.disjoint_groups": "A group or source image is in more than one split",
    "data.duplicate_content": "The same image is in more than one split, or has both labels",
    "leak.group": "A group or source image is in more than one split",
    "leak.duplicate": "The same image is in more than one split",
    "leak.contradiction": "The same image has both labels",
    "leak.overlap": "Overlapping patches are in different splits",
    "leak.rotation": "Rotated or mirrored copies are in different splits",
    "leak.near_duplicate": "Near-duplicates of the same surface are in different splits",
    "leak.coordinates": "Patch coordinates predict the label, or overlap across splits",
    "leak.file_metadata": "File properties predict the label",
    "leak.file_modified": "File modification times predict the label",
    "leak.manifest_column": "A manifest column predicts the label",
    "leak.name": "File names predict the label",
    "leak.pixel_property": "Traces of camera or software predict the label",
    "leak.two_cameras": "Clean and defective images come from different cameras",
    "leak.parts_differ": "The splits are distributed differently",
    "leak.group_effect": "A random split would overestimate the model",
    "leak.shuffled_labels": "Shuffled labels can be learned",
    "leak.simple_cue": "A simple image statistic beats the baseline CNN",
    "leak.too_good": "The baseline CNN is too accurate too early",
    "collapse.loss": "The baseline CNN did not learn",
    "collapse.constant_score": "The baseline CNN gives every patch the same score",
    "collapse.one_class": "The baseline CNN predicts one class only",
    "collapse.chance": "The baseline CNN is no better than chance",
}
"""A headline for each alarm, shown before its code and message."""


def number(value: object, digits: int = 4) -> str:
    """Format a number, or return `undefined`."""
    return "undefined" if not is_number(value) else f"{float(value):,.{digits}f}"


def metric(name: str, value: object) -> str:
    """Format a metric: one digit for a rate per 1,000, four for the others."""
    return number(value, 1 if name == "false_alarms_per_1000" else 4)


def percent(value: object) -> str:
    """Format a fraction as a percentage."""
    return "undefined" if not is_number(value) else f"{100 * float(value):.1f} %"


def signed(value: object) -> str:
    """Format a difference with its sign."""
    return "undefined" if not is_number(value) else f"{float(value):+.4f}"


def size(count: object) -> str:
    """Format a number of bytes in MB."""
    return "undefined" if not is_number(count) else f"{float(count) / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """Format seconds as seconds, minutes or hours."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def is_number(value: object) -> TypeGuard[float]:
    """Return whether the value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def is_met(estimate: Mapping[str, object], target: float, evidence: str) -> bool:
    """Return whether the judged value (`point`: the estimate; `bound`: its bound) meets the target; undefined does not."""
    judged = bound_of(estimate) if evidence == "bound" else estimate.get("value")
    return is_number(judged) and judged >= target


def bound_of(estimate: Mapping[str, Value]) -> Value | None:
    """Return the bound of an estimate; runs before 2026-11-25 call it `lower`."""
    return estimate.get("bound", estimate.get("lower"))


def headline(counts: Mapping[str, int]) -> str:
    """One sentence on misses and false alarms."""
    c = counts
    return f"Missed {c['fn']} of {c['fn'] + c['tp']} defects; {c['fp']} false alarms among {c['fp'] + c['tn']} clean patches."
