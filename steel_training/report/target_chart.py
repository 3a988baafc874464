"""Draws metrics against their targets and bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from steel_training.report.formatting import is_number, metric
from steel_training.report.svg import BLUE, GREY, ORANGE, marker

_ROW = 46


def dots_and_bounds(rows: Sequence[tuple[str, str, float | None, float | None, float | None, bool]]) -> str:
    """Draw each metric as a dot with a whisker to its bound, and its target as a vertical bar, one row per metric.

    Args:
        rows: (key, name, value, bound, target, whether it is met); values between 0 and 1, `None` where undefined or without target.
    """
    known = [float(v) for _, _, *values, _ in rows for v in values if v is not None and is_number(v)]
    low = min(0.9, math.floor(min(known, default=0.0) * 10) / 10)

    def at(value: float) -> float:
        return 12 + 416 * (min(max(value, low), 1) - low) / (1 - low)

    made, texts = [], []
    for place, (key, name, value, bound, target, met) in enumerate(rows):
        y = 30 + _ROW * place
        color = GREY if target is None else BLUE if met else ORANGE
        goal = "" if target is None else f" · target {target:g} {'✓ met' if met else '✗ not met'}"
        texts.append(f"{name} {metric(key, value)}{goal}")
        made.append(
            f'<text x="12" y="{y - 10}"><tspan font-weight="700">{escape(name)} {metric(key, value)}</tspan>{goal}</text>'
        )
        made.append(f'<line class="grid" x1="12" x2="428" y1="{y + 6}" y2="{y + 6}"/>')
        if is_number(value) and is_number(bound):
            a, b = at(bound), at(value)
            made.append(
                f'<path d="M{a:.1f} {y}v12M{a:.1f} {y + 6}H{b:.1f}" stroke="{color}" stroke-width="2.5" fill="none"/>'
            )
        if is_number(target):
            made.append(f'<path d="M{at(target):.1f} {y - 4}v20" stroke="#222" stroke-width="3"/>')
        if is_number(value):
            made.append(marker(at(value), y + 6, color, "circle" if met or target is None else "diamond"))
    height = 30 + _ROW * len(rows)
    made += [f'<text x="{at(v):.1f}" y="{height}" text-anchor="middle">{v:g}</text>' for v in (low, (low + 1) / 2)]
    made.append(f'<text x="428" y="{height}" text-anchor="end">1</text>')
    title = escape("; ".join(texts))
    return f'<svg viewBox="0 0 440 {height + 8}" role="img" aria-label="{title}"><title>{title}</title>{"".join(made)}</svg>'
