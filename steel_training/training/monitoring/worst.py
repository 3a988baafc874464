"""Images of the validation patches with the largest errors: missed defects and false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from steel_training.data.images import decode
from steel_training.data.patches import PatchSet
from steel_training.evaluation.metrics import sweep

SHOWN = 24
COLUMNS = 8
WRONG, RIGHT = "#d55e00", "#444444"


@dataclass(frozen=True)
class Ranked:
    """Patches of one label, the worst first.

    Attributes:
        name: `lowest_defects` or `highest_clean`.
        rows: their positions in the split.
        scores: float, (n,).
        wrong: bool, (n,): on the wrong side of the threshold.
        title: of the image.
    """

    name: str
    rows: np.ndarray
    scores: np.ndarray
    wrong: np.ndarray
    title: str


def threshold_at(labels: np.ndarray, scores: np.ndarray, precision: float) -> float | None:
    """Return the lowest threshold that keeps precision at its target, as in `val_recall`; `None` if there is none."""
    if not labels.any():
        return None
    thresholds, _, precisions, _ = sweep(labels, scores)
    kept = thresholds[precisions >= precision]
    return float(kept[-1]) if len(kept) else None


def worst(labels: np.ndarray, scores: np.ndarray, precision: float, shown: int = SHOWN) -> tuple[Ranked, Ranked]:
    """Rank defects from the lowest score and clean patches from the highest.

    Args:
        labels: int (n,).
        scores: float (n,).
        precision: target; if no threshold reaches it, all defects count as missed and nothing as a false alarm.
        shown: maximum number of each.
    """
    threshold = threshold_at(labels, scores, precision)
    predicted_positive = scores >= (np.inf if threshold is None else threshold)
    where = (
        f"no threshold keeps precision {precision:.2f}"
        if threshold is None
        else f"threshold {threshold:.3f} keeps precision {precision:.2f}"
    )
    defects, clean = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    missed, alarms = int((~predicted_positive[defects]).sum()), int(predicted_positive[clean].sum())
    low = defects[np.argsort(scores[defects], kind="stable")][:shown]
    high = clean[np.argsort(-scores[clean], kind="stable")][:shown]
    return (
        Ranked("lowest_defects", low, scores[low], ~predicted_positive[low],
               f"defects of lowest score: {missed:,} of {len(defects):,} missed ({where})"),
        Ranked("highest_clean", high, scores[high], predicted_positive[high],
               f"clean patches of highest score: {alarms:,} of {len(clean):,} false alarms ({where})"),
    )  # fmt: skip


def pictures(patches: PatchSet, scores: np.ndarray, *, precision: float, heading: str) -> dict[str, np.ndarray]:
    """Draw the worst defects and the worst clean patches of a split, each as a grid with label and score.

    Args:
        patches: of the split; their files are read.
        scores: float (n,), in their order.
        precision: target, see `worst`.
        heading: stage and epoch.

    Returns:
        uint8 RGB (height, width, 3) by name; a label without patches is left out.
    """
    return {
        ranked.name: _draw(ranked, patches, heading)
        for ranked in worst(patches.labels, scores, precision)
        if len(ranked.rows)
    }


def _draw(ranked: Ranked, patches: PatchSet, heading: str) -> np.ndarray:
    """Draw a grid; misclassified patches are captioned as such and have a coloured frame."""
    rows = -(-len(ranked.rows) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * 1.35, rows * 1.6 + 0.5), dpi=100, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    figure.suptitle(f"{heading}, {ranked.title}", fontsize=9)
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    right, mistake = ("defect", "missed") if ranked.name == "lowest_defects" else ("clean", "false alarm")
    for axes, row, score, wrong in zip(grid, ranked.rows, ranked.scores, ranked.wrong, strict=False):
        color = WRONG if wrong else RIGHT
        axes.imshow(decode(patches.storage.read(patches.paths[row])), interpolation="nearest")
        axes.set_title(f"{mistake if wrong else right} {score:.3f}", fontsize=8, color=color)
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color=color, linewidth=3 if wrong else 1)
    for axes in grid[len(ranked.rows) :]:
        axes.axis("off")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
