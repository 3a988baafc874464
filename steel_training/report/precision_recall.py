"""Draws precision-recall curves with their operating points: for the report, and for the models page.

Needs neither NumPy nor pandas, which the API server does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steel_training.report.formatting import is_number
from steel_training.report.svg import BLUE, GREEN, ORANGE, Chart

_COLORS = (BLUE, ORANGE, GREEN)
_SHAPES = ("circle", "diamond", "square")


@dataclass(frozen=True)
class PrecisionRecall:
    """The curve of one model on its test split.

    Attributes:
        name: for the legend.
        recall: of the points of the curve.
        precision: of the same points.
        operating_point: recall and precision at the operating threshold; NaN where undefined.
    """

    name: str
    recall: Sequence[float]
    precision: Sequence[float]
    operating_point: tuple[float, float]


def precision_recall(models: Sequence[PrecisionRecall], targets: Mapping[str, float | None]) -> str:
    """Return the curves of up to three models as an SVG element.

    Args:
        models: the curves, in the order of the legend.
        targets: of the gate, by metric; those of recall and precision are drawn as lines.
    """
    chart = Chart("Precision against recall on the test split", ("recall", 0, 1), ("precision", 0, 1))
    for color, model in zip(_COLORS, models, strict=False):
        chart.line(model.recall, model.precision, color, model.name)
    for metric, line_at in (("recall", chart.vertical), ("precision", chart.horizontal)):
        if is_number(target := targets.get(metric)):
            line_at(float(target), f"{metric} target {target:g}")
    if len(models) == 1:
        chart.point(*models[0].operating_point, ORANGE, "at the operating threshold", "diamond")
    else:
        for color, shape, model in zip(_COLORS, _SHAPES, models, strict=False):
            chart.point(*model.operating_point, color, f"{model.name} at its threshold", shape)
    return chart.svg()
