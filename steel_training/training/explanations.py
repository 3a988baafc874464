"""Explanations of mistakes: the files that `heat_maps` writes and the report reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FOLDER, INDEX = "attention", "index.json"

Kind = Literal["missed", "false_alarm"]
MISSED: Kind = "missed"
FALSE_ALARM: Kind = "false_alarm"


@dataclass(frozen=True)
class Explanation:
    """One misclassified patch and its files; the fields are the keys of `index.json`.

    Attributes:
        patch_id: of the manifest.
        kind: `missed` or `false_alarm`.
        label: 0 clean, 1 defective.
        score: of the model.
        probability: calibrated for the class weights; None if not known.
        defect_type: of the manifest; None if it has none.
        source_id: source image; None if not known.
        patch: PNG file of the patch.
        overlay: PNG file of the patch in grey under its heat map.
    """

    patch_id: str
    kind: Kind
    label: int
    score: float
    probability: float | None
    defect_type: str | None
    source_id: str | None
    patch: str
    overlay: str
