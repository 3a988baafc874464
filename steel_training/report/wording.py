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
