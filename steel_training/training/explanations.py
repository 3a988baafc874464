"""What is kept of an explanation: the files that `heat_maps` leaves of each mistake, and the report reads."""

from __future__ import annotations

from dataclasses import dataclass

FOLDER, INDEX = "attention", "index.json"


MISSED, FALSE_ALARM = "missed", "false_alarm"


@dataclass(frozen=True)
class Explanation:
    """One patch that was judged wrongly, and the files that show it.

    Attributes:
        patch_id: of the manifest.
        kind: `missed` or `false_alarm`.
        label: 0 clean, 1 defective.
        score: of the model.
        probability: the score with the shift of the class weights undone; None where it is not known.
        defect_type: of the manifest; None where it has none.
        source_id: the photograph; None where it is not known.
        patch: file of the patch, PNG.
        overlay: file of the patch in grey under the map, PNG.
    """

    patch_id: str
    kind: str
    label: int
    score: float
    probability: float | None
    defect_type: str | None
    source_id: str | None
    patch: str
    overlay: str
