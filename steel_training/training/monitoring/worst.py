"""Images of the validation patches with the largest errors: missed defects and false alarms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from steel_training.data.images import decode
from steel_training.data.patches import PatchSet
from steel_training.evaluation.metrics import sweep

SHOWN = 24
COLUMNS = 8
WRONG, RIGHT = "#d55e00", "#444444"
_PATCH, _SPACE, _CAPTION, _HEADING = 120, 10, 20, 36
_CELL = _PATCH + _SPACE, _CAPTION + _PATCH + _SPACE
"""Width and height of a patch with what belongs to it, pixels."""


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
    sheet = Image.new("RGB", (COLUMNS * _CELL[0] + _SPACE, _HEADING + rows * _CELL[1] + _SPACE), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    draw.text((sheet.width / 2, _HEADING / 2), f"{heading}, {ranked.title}", "black", font, anchor="mm")
    right, mistake = ("defect", "missed") if ranked.name == "lowest_defects" else ("clean", "false alarm")
    for place, (row, score, wrong) in enumerate(zip(ranked.rows, ranked.scores, ranked.wrong, strict=True)):
        left = _SPACE + place % COLUMNS * _CELL[0]
        top = _HEADING + place // COLUMNS * _CELL[1]
        color = WRONG if wrong else RIGHT
        draw.text(
            (left + _PATCH / 2, top + _CAPTION / 2),
            f"{mistake if wrong else right} {score:.3f}",
            color,
            font,
            anchor="mm",
        )
        patch = Image.fromarray(decode(patches.storage.read(patches.paths[row])))
        # As large as fits, with its own proportions and its own pixels: none is invented.
        patch = ImageOps.contain(patch, (_PATCH, _PATCH), Image.Resampling.NEAREST)
        corner = left + (_PATCH - patch.width) // 2, top + _CAPTION + (_PATCH - patch.height) // 2
        sheet.paste(patch, corner)
        width = 3 if wrong else 1
        frame = (
            *(c - width for c in corner),
            corner[0] + patch.width + width - 1,
            corner[1] + patch.height + width - 1,
        )
        draw.rectangle(frame, outline=color, width=width)
    return np.asarray(sheet)
