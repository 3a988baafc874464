"""How the source images of a dataset were cut into its patches, so that whole images are scored as the dataset was made."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from steel_training.data.ingest_record import INGEST_RECORD, IngestRecordInvalid, read_ingest_record
from steel_training.storage import Storage
from steel_training.storage.json_types import Json


@dataclass(frozen=True)
class ImageCut:
    """The cut of an ingest.

    Attributes:
        patch: side of a patch, pixels.
        stride: step from patch to patch, pixels.
        cover_edges: a last column and row of patches is flush with the right and bottom edge.
        min_contrast: standard deviation of grey below which a clean patch was left out as blank.
        grey: patches of colour images were stored as grey.
    """

    patch: int
    stride: int
    cover_edges: bool = True
    min_contrast: float = 0.0
    grey: bool = False

    def as_record(self) -> dict[str, Json]:
        """Return the fields as JSON values; `from_record` reads them."""
        return asdict(self)


def from_record(found: Any, where: str) -> ImageCut | None:
    """Read a cut from a JSON file; absent is `None`.

    Raises:
        IngestRecordInvalid: it is something else.
    """
    if found is None:
        return None
    fields = found if isinstance(found, dict) else {}
    sides: list[Any] = [fields.get(name) for name in ("patch", "stride")]
    flags: list[Any] = [fields.get(name) for name in ("cover_edges", "grey")]
    contrast: Any = fields.get("min_contrast")
    if (
        not all(type(side) is int and side > 0 for side in sides)
        or not all(type(flag) is bool for flag in flags)
        or type(contrast) not in (int, float)
        or not 0 <= contrast < math.inf
    ):
        raise IngestRecordInvalid(
            f"{where} has the cut {str(found)[:200]}; expected patch and stride in pixels, cover_edges and grey as true or false, and min_contrast. "
            "Restore the file, or remove it."
        )
    return ImageCut(sides[0], sides[1], flags[0], float(contrast), flags[1])


def recorded_cut(dataset: Storage) -> ImageCut | None:
    """Return how the images of a dataset were cut; `None` where whole images are its patches, or nothing is on record.

    Raises:
        IngestRecordInvalid: the record cannot be read.
    """
    return from_record(read_ingest_record(dataset).get("cut"), dataset.location(INGEST_RECORD))
