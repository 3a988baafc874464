"""`input.json` of a bundle: which images the model takes, besides what every model takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from steel_training.bundle.layout import GOLDEN, INPUT
from steel_training.data import image_cut
from steel_training.data.grey_range import GreyRange, as_record, from_record
from steel_training.data.image_cut import ImageCut
from steel_training.data.images import open_image


@dataclass(frozen=True)
class InputRecord:
    """What a model was trained on.

    Attributes:
        patch: (width, height) of its patches in pixels; `None` where they are not of one size, or it is not known.
        grey_range: with which images of more than 8 bits were ingested; `None` where they had 8 bits, or it is not known.
        cut: how its images were cut into patches; `None` where its patches are images, or it is not known.
    """

    patch: tuple[int, int] | None = None
    grey_range: GreyRange | None = None
    cut: ImageCut | None = None

    def write(self, bundle: Path) -> None:
        """Write `input.json`."""
        content = {
            "patch": self.patch,
            "grey_range": as_record(self.grey_range),
            "cut": self.cut.as_record() if self.cut else None,
        }
        (bundle / INPUT).write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def read(cls, bundle: Path) -> InputRecord:
        """Read `input.json`; where it does not have the size of a patch, the golden samples show it.

        Raises:
            GreyRangeInvalid: its grey range cannot be read.
            IngestRecordInvalid: its cut cannot be read.
        """
        path = bundle / INPUT
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        grey_range = from_record(content.get("grey_range"), f"{INPUT} of the version")
        patch = content.get("patch") or _size_of([file.read_bytes() for file in _golden(bundle)])
        cut = image_cut.from_record(content.get("cut"), f"{INPUT} of the version")
        return cls(None if patch is None else (patch[0], patch[1]), grey_range, cut)

    @classmethod
    def of(cls, samples: list[bytes], grey_range: GreyRange | None, cut: ImageCut | None = None) -> InputRecord:
        """Return the record of a model by some of its patches, as image files; a cut into patches of another size is not that of the model."""
        patch = _size_of(samples)
        return cls(patch, grey_range, cut if cut and patch == (cut.patch, cut.patch) else None)


def _golden(bundle: Path) -> list[Path]:
    return [path for path in (bundle / GOLDEN).glob("*") if path.suffix != ".json"]


def _size_of(samples: list[bytes]) -> tuple[int, int] | None:
    sizes = {open_image(data).size for data in samples}
    return sizes.pop() if len(sizes) == 1 else None
