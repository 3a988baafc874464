"""Draws charts as SVG: scalable, accessible, a few kilobytes each, and byte-identical for identical numbers.

Written here rather than with matplotlib because the API server has none. Colours are those of Okabe and Ito (2008); lines
also differ by dash or marker and are named in the legend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

BLUE, ORANGE, GREEN, PINK, BLACK, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#222222", "#767676"
DASHES = {BLUE: "", ORANGE: "7 3", GREEN: "2 3", PINK: "9 3 2 3", BLACK: "", GREY: "2 4"}
LINE_POINTS = 300
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 440, 300, 54, 14, 12, 44
_LEGEND_LINE = 18


@dataclass
class Chart:
    """One pair of axes; elements are drawn in the order in which they are added.

    Attributes:
        title: what the chart shows; its alternative text.
        x: (label, low, high) of the horizontal axis.
        y: the same for the vertical axis.
        log_y: whether the vertical axis is logarithmic; `y` must then start above 0.
        whole_x: whether the horizontal ticks are whole numbers.
    """

    title: str
    x: tuple[str, float, float]
    y: tuple[str, float, float]
    log_y: bool = False
    whole_x: bool = False
    _drawn: list[str] = field(default_factory=list, init=False)
    _legend: list[tuple[str, str, str]] = field(default_factory=list, init=False)

    def line(self, xs: Sequence[float], ys: Sequence[float], color: str, name: str = "") -> None:
        """Add a line; it is thinned to at most `LINE_POINTS` points."""
        points = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
        shown = min(len(points), LINE_POINTS)
        chosen = [round(place * (len(points) - 1) / max(1, shown - 1)) for place in range(shown)]
        path = " ".join(f"{self._at_x(points[i][0]):.1f},{self._at_y(points[i][1]):.1f}" for i in chosen)
        self._drawn.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{DASHES[color]}"/>'
        )
        if name:
            self._legend.append((name, color, "line"))

    def steps(self, edges: Sequence[float], counts: Sequence[float], color: str, name: str) -> None:
        """Add a histogram as an outline."""
        xs = [edge for edge in edges for _ in range(2)][1:-1]
        self.line(xs, [count for count in counts for _ in range(2)], color, name)

    def point(self, x: float, y: float, color: str, name: str = "", shape: str = "circle") -> None:
        """Add a marker: circle, diamond or square."""
        if math.isfinite(x) and math.isfinite(y):
            self._drawn.append(marker(self._at_x(x), self._at_y(y), color, shape))
            if name:
                self._legend.append((name, color, shape))

    def vertical(self, x: float, name: str, color: str = BLACK) -> None:
        """Add a vertical dotted line with a legend entry."""
        if math.isfinite(x):
            at = self._at_x(x)
            self._drawn.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="{color}" stroke-dasharray="3 3" stroke-width="1.5"/>'
            )
            self._legend.append((name, color, "vertical"))

    def horizontal(self, y: float, name: str) -> None:
        """Add a horizontal dotted line with a legend entry."""
        at = self._at_y(y)
        self._drawn.append(
            f'<line y1="{at:.1f}" y2="{at:.1f}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" stroke="{GREY}" stroke-dasharray="3 3" stroke-width="1.5"/>'
        )
        self._legend.append((name, GREY, "horizontal"))

    def svg(self) -> str:
        """Return the chart as an SVG element."""
        height = _HEIGHT + _LEGEND_LINE * len(self._legend)
        return (
            f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(self.title)}"><title>{escape(self.title)}</title>'
            + self._axes()
            + "".join(self._drawn)
            + self._legends()
            + "</svg>"
        )

    def _at_x(self, value: float) -> float:
        _, low, high = self.x
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (min(max(value, low), high) - low) / (high - low or 1)

    def _at_y(self, value: float) -> float:
        _, low, high = self.y
        value = min(max(value, low), high)
        if self.log_y:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low or 1)

    def _axes(self) -> str:
        made = []
        bottom = _HEIGHT - _BOTTOM
        for tick in ticks(self.x[1], self.x[2], whole=self.whole_x):
            at = self._at_x(tick)
            made.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>')
            made.append(f'<text x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{tick:g}</text>')
        for tick in _decades(self.y[1], self.y[2]) if self.log_y else ticks(self.y[1], self.y[2]):
            at = self._at_y(tick)
            made.append(f'<line class="grid" y1="{at:.1f}" y2="{at:.1f}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}"/>')
            made.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>')
        middle = (_TOP + bottom) / 2
        made.append(
            f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{bottom + 36}" text-anchor="middle">{escape(self.x[0])}</text>'
        )
        made.append(
            f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{escape(self.y[0])}</text>'
        )
        return "".join(made)

    def _legends(self) -> str:
        made = []
        for place, (name, color, shape) in enumerate(self._legend):
            y = _HEIGHT + _LEGEND_LINE * place + 8
            dash = DASHES[color] if shape == "line" else "3 3"
            made.append(
                f'<line x1="{_LEFT}" x2="{_LEFT + 34}" y1="{y - 4}" y2="{y - 4}" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>'
                if shape in {"line", "vertical", "horizontal"}
                else marker(_LEFT + 17, y - 4, color, shape)
            )
            made.append(f'<text x="{_LEFT + 42}" y="{y}">{escape(name)}</text>')
        return "".join(made)


def marker(x: float, y: float, color: str, shape: str = "circle") -> str:
    """Return a marker centred at x, y: circle, ring, diamond or square."""
    if shape == "diamond":
        return f'<path d="M{x:.1f} {y - 7:.1f}l7 7l-7 7l-7 -7z" fill="{color}"/>'
    if shape == "square":
        return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" fill="{color}"/>'
    fill = "#fff" if shape == "ring" else color
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="{fill}" stroke="{color}" stroke-width="2"/>'


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return about five round tick values between low and high."""
    span = high - low
    if span <= 0:
        return [low]
    step = 10.0 ** math.floor(math.log10(span / 5))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    step = max(1.0, step) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    return [10.0**e for e in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
