"""The report's figures as inline SVG, the same bytes for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pandas as pd

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#888888"


def _figure(title_x: str, title_y: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3.1), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(title_x)
    axes.set_ylabel(title_y)
    axes.grid(alpha=0.3)
    return figure, axes


def _svg(figure: Any) -> str:
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "steel-training"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def curves(points: Mapping[str, Any], evaluated: Mapping[str, Any]) -> dict[str, str]:
    """Draws precision-recall and ROC of the test part, and the threshold sweep of validation."""
    metrics, targets = evaluated["metrics"], evaluated["targets"]
    made = {}
    figure, axes = _figure("recall", "precision")
    axes.plot(points["pr"]["recall"], points["pr"]["precision"], color=BLUE)
    axes.plot([metrics["recall"]["value"]], [metrics["precision"]["value"]], "o", color=ORANGE, label="operating point")
    if targets["recall"] is not None:
        axes.axvline(targets["recall"], color=GREY, linestyle=":", label="recall target")
    axes.legend()
    made["Precision and recall on the test part"] = _svg(figure)
    figure, axes = _figure("false alarms among clean", "defects found")
    axes.plot([0, *points["roc"]["fpr"]], [0, *points["roc"]["tpr"]], color=BLUE)
    made["ROC on the test part"] = _svg(figure)
    figure, axes = _figure("threshold", "on validation")
    for name, color in (("recall", BLUE), ("precision", ORANGE), ("f2", GREY)):
        axes.plot(points["sweep"]["threshold"], points["sweep"][name], color=color, label=name)
    axes.axvline(evaluated["threshold"]["value"], color="black", linestyle=":", label="chosen")
    axes.legend()
    made["Choice of the threshold"] = _svg(figure)
    return made


def score_histogram(scores: pd.DataFrame, threshold: float) -> str:
    """Draws the test scores of clean and defective patches, logarithmic counts."""
    figure, axes = _figure("score", "patches")
    test = scores[scores["part"] == "test"]
    for label, name, color in ((0, "clean", BLUE), (1, "defective", ORANGE)):
        axes.hist(test.loc[test["label"] == label, "score"], bins=40, range=(0, 1), alpha=0.6, label=name, color=color)
    axes.set_yscale("log")
    axes.axvline(threshold, color="black", linestyle=":")
    axes.legend()
    return _svg(figure)


def history(values: Mapping[str, list[float]]) -> str:
    """Draws loss and the watched recall by epoch."""
    figure, axes = _figure("epoch", "")
    epochs = range(1, len(values["loss"]) + 1)
    for name, color in (("loss", GREY), ("val_loss", ORANGE), ("val_recall", BLUE), ("val_auc", "black")):
        axes.plot(epochs, values[name], color=color, label=name)
    axes.legend()
    return _svg(figure)
