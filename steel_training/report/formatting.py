"""How figures are written in the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

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
    "data.label_contradicts_defect_type": "Labels and kinds of defects contradict each other",
    "data.disjoint_groups": "A group or photograph stands in two parts",
    "data.duplicate_content": "The same image stands in two parts, or under both labels",
    "leak.group": "A group or photograph stands in two parts",
    "leak.duplicate": "The same image stands in two parts",
    "leak.contradiction": "The same image bears both labels",
    "leak.overlap": "Overlapping cuts of one place stand in two parts",
    "leak.rotation": "Turned or mirrored copies stand in two parts",
    "leak.near_duplicate": "Another shot or file of the same place stands in two parts",
    "leak.coordinates": "Where patches were cut gives them away",
    "leak.file_metadata": "How the files were made tells the label",
    "leak.file_modified": "When the files were written tells the label",
    "leak.manifest_column": "A column of the manifest tells the label",
    "leak.name": "File names tell the label",
    "leak.pixel_property": "Traces of camera or software tell the label",
    "leak.two_cameras": "Clean and defective photographs come from two cameras",
    "leak.parts_differ": "The parts do not look alike",
    "leak.group_effect": "A split at random would flatter",
    "leak.shuffled_labels": "Labels that mean nothing can be learned",
    "leak.simple_cue": "A plain property is ahead of the baseline CNN",
    "leak.too_good": "The baseline CNN is right too soon",
    "collapse.loss": "The baseline CNN did not learn",
    "collapse.constant_score": "The baseline CNN answers the same for every patch",
    "collapse.one_class": "The baseline CNN calls everything one class",
    "collapse.chance": "The baseline CNN is no better than chance",
}
"""What an alarm means, before its figures."""


def number(value: Any, digits: int = 4) -> str:
    """Writes a figure, or that it is undefined."""
    return "undefined" if not is_number(value) else f"{float(value):,.{digits}f}"


def metric(name: str, value: Any) -> str:
    """Writes a metric with as many digits as it deserves."""
    return number(value, 1 if name == "false_alarms_per_1000" else 4)


def percent(value: Any) -> str:
    """Writes a share."""
    return "undefined" if not is_number(value) else f"{100 * float(value):.1f} %"


def signed(value: Any) -> str:
    """Writes a difference."""
    return "undefined" if not is_number(value) else f"{float(value):+.4f}"


def size(count: Any) -> str:
    """Writes bytes in megabytes."""
    return "undefined" if not is_number(count) else f"{float(count) / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """Writes seconds as a person would say them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def is_number(value: Any) -> bool:
    """Whether there is a finite figure."""
    return isinstance(value, int | float) and math.isfinite(value)


def is_met(estimate: Mapping[str, Any], target: float, evidence: str) -> bool:
    """Whether what the gate judges (`point`: the figure; `bound`: its bound) reaches a target; undefined does not."""
    judged: Any = bound_of(estimate) if evidence == "bound" else estimate.get("value")
    return is_number(judged) and bool(judged >= target)


def bound_of(estimate: Mapping[str, Any]) -> Any:
    """Returns the bound of an estimate; runs before 2026-11-25 call it `lower`."""
    return estimate.get("bound", estimate.get("lower"))


def headline(counts: Mapping[str, int]) -> str:
    """One sentence on misses and false alarms."""
    c = counts
    return f"Missed {c['fn']} of {c['fn'] + c['tp']} defects; {c['fp']} false alarms among {c['fp'] + c['tn']} clean patches."
