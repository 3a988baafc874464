"""What an ingest did with every source image and annotation: the table at its end, and `ingest.json` beside the manifest."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from steel_training.data.image_cut import ImageCut
from steel_training.data.ingest_record import INGEST_RECORD
from steel_training.ingest.grey_levels import GreyTally
from steel_training.ingest.problems import first_ten
from steel_training.storage.json_types import Json

# How to treat an image without annotation, and an annotation without image.
Missing = Literal["error", "clean", "skip"]
Unmatched = Literal["error", "skip"]

_GOOD, _BAD = frozenset({"ok", "good", "clean"}), frozenset({"ng", "nok", "bad", "defect", "defects", "defective"})
_DROPPED = {
    "undecided": "undecided: too few defect pixels to be sure, too many to be clean",
    "ignored": "undecided: pixels that --ignore-values leaves out",
    "blank": "blank: no steel visible",
    "thinned": "defective, not kept (--keep-defective)",
}


class Basis(StrEnum):
    """What the label of an image rests on."""

    DEFECTS = "with_defects"
    CLEAN = "clean_by_annotation"
    UNNAMED = "clean_because_nothing_names_them"


@dataclass
class IngestRecord:
    """Counts and names of one ingest.

    Attributes:
        format: name of the format.
        images: images by what their label rests on.
        unnamed: images that are clean only because nothing names them.
        left_out: images and annotations that were left out by an option, by reason.
        misnamed: images whose name says the opposite of their annotation: clean ones named NG, defective ones named OK.
        rotated: images whose EXIF orientation was applied.
        cut: how images were cut; `None` where they are patches themselves.
        grey: how grey values of more than 8 bits were mapped.
        by_class: defective patches by class.
        by_value: patches in which a mask value (or class number) occurs.
        clean, defective: patches.
        dropped: patches that were cut and not kept, by reason.
        uncovered: share of an image that no patch covers, where there is any.
        in_no_patch: annotated defects without any defective patch.
    """

    format: str = ""
    images: Counter[Basis] = field(default_factory=Counter)
    unnamed: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    misnamed: list[str] = field(default_factory=list)
    rotated: list[str] = field(default_factory=list)
    cut: ImageCut | None = None
    grey: GreyTally = field(default_factory=GreyTally)
    by_class: Counter[str] = field(default_factory=Counter)
    by_value: Counter[int] = field(default_factory=Counter)
    clean: int = 0
    defective: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    uncovered: dict[str, float] = field(default_factory=dict)
    in_no_patch: list[dict[str, Json]] = field(default_factory=list)

    def count_image(self, name: str, basis: Basis) -> None:
        """Count an image."""
        self.images[basis] += 1
        if basis is Basis.UNNAMED:
            self.unnamed.append(name)
        words = set(re.split(r"[^a-z]+", name.lower()))
        if words & (_GOOD if basis is Basis.DEFECTS else _BAD) and not words & (
            _BAD if basis is Basis.DEFECTS else _GOOD
        ):
            self.misnamed.append(name)

    def as_dict(self) -> dict[str, Json]:
        """Return the content of `ingest.json`. Its keys are read by others and keep their names."""
        return {
            "format": self.format,
            "images": {
                "taken": self.images.total(),
                "annotated": self.images[Basis.DEFECTS] + self.images[Basis.CLEAN],
                **{basis.value: self.images[basis] for basis in Basis},
                "turned_by_exif": len(self.rotated),
            },
            "cut": self.cut.as_record() if self.cut else None,
            "grey_range": self.grey.as_dict(),
            "clean_because_nothing_names_them": self.unnamed,
            "name_contradicts_annotation": self.misnamed,
            "left_out": self.left_out,
            "patches": {
                "total": self.clean + self.defective,
                "clean": self.clean,
                "defective": self.defective,
                "by_class": dict(sorted(self.by_class.items())),
                "by_mask_value": {str(value): count for value, count in sorted(self.by_value.items())},
            },
            "dropped_patches": {reason: self.dropped[reason] for reason in _DROPPED},
            "uncovered_share": self.uncovered,
            "defects_in_no_patch": self.in_no_patch,
        }

    def write(self, folder: Path) -> None:
        """Write `ingest.json` into a dataset."""
        text = json.dumps(self.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        (folder / INGEST_RECORD).write_text(text + "\n", encoding="utf-8")

    def table(self) -> str:
        """Return the same as text for the terminal, without most lines that are zero."""
        rows = [
            ("source images", self.images.total(), ""),
            ("  with defects", self.images[Basis.DEFECTS], ""),
            ("  clean by annotation", self.images[Basis.CLEAN], ""),
            ("  clean, no annotation", self.images[Basis.UNNAMED], first_ten(self.unnamed)),
        ]
        if self.misnamed:
            rows.append(("  name contradicts annotation", len(self.misnamed), first_ten(self.misnamed)))
        if self.rotated:
            rows.append(("  rotated by EXIF orientation", len(self.rotated), first_ten(self.rotated)))
        if (mapped := self.grey.row()) is not None:
            rows.append(mapped)
        rows += [(f"left out: {reason}", len(names), first_ten(names)) for reason, names in self.left_out.items()]
        rows += [("patches, clean", self.clean, ""), ("patches, defective", self.defective, _counts(self.by_class))]
        if self.by_value and set(map(str, self.by_value)) != set(self.by_class):
            rows.append(("patches by mask value", sum(self.by_value.values()), _counts(self.by_value)))
        rows += [
            ("dropped patches", self.dropped[reason], why) for reason, why in _DROPPED.items() if self.dropped[reason]
        ]
        if self.uncovered:
            worst = max(self.uncovered, key=self.uncovered.__getitem__)
            rows.append(
                (
                    "images not fully covered",
                    len(self.uncovered),
                    f"up to {self.uncovered[worst]:.1%} ({worst}); see --edges, --stride",
                )
            )
        if self.in_no_patch:
            named = [
                f"{defect['source_id']} ({defect['class']}, {defect['pixels']:,} pixels)" for defect in self.in_no_patch
            ]
            rows.append(("defects in no patch", len(named), first_ten(named)))
        width = max(len(what) for what, _, _ in rows)
        return "\n".join(f"{what:<{width}} {count:>9,}  {note}".rstrip() for what, count, note in rows)


def _counts(counts: Mapping[str, int] | Mapping[int, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
