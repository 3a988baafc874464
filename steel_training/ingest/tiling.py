"""Photographs with pixel masks become labelled patches: one rule, used by every ingest.

A patch is clean up to `clean_max` of defect pixels and defective from `defective_min` (or from `defective_pixels`,
whichever is less). What lies between is dropped: two engineers would not agree on it, and a label that is a toss-up
teaches nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steel_training.data.dataset import CLEAN, DEFECTIVE, DatasetWriter
from steel_training.errors import UsageError
from steel_training.ingest.cut_rule import CutRule, CutRuleInvalid
from steel_training.ingest.source_images import flat_name

# Called with (done, total) as photographs, or coils, are finished.
Progress = Callable[[int, int], None]


class SizesDiffer(UsageError):
    """A photograph and its mask (or annotation) are not of one size."""


class PhotographTooSmall(UsageError):
    """A photograph is smaller than one patch."""


@dataclass(frozen=True)
class Cut:
    """One square of a photograph.

    Attributes:
        x: left edge in the photograph, pixels.
        y: top edge.
        pixels: uint8, (patch, patch) or (patch, patch, 3).
        label: 0, 1, or `None` for a patch that the rule leaves undecided.
        defect_class: the mask value that covers most of it; 0 where nothing does.
    """

    x: int
    y: int
    pixels: np.ndarray
    label: int | None
    defect_class: int


def cut(photograph: np.ndarray, mask: np.ndarray, rule: CutRule) -> Iterator[Cut]:
    """Yields the patches of a photograph, row by row.

    The grid starts at the top left; a strip narrower than a stride at the right and bottom edge is left over.

    Args:
        photograph: uint8, (height, width) or (height, width, 3).
        mask: integers, (height, width); 0 is clean, any other value a class of defect.
        rule: how to cut and label.

    Raises:
        SizesDiffer: mask and photograph are not of one size.
        PhotographTooSmall: not one patch fits.
    """
    height, width = photograph.shape[:2]
    if mask.shape != (height, width):
        raise SizesDiffer(
            f"the photograph is {width}×{height} pixels, its mask {mask.shape[1]}×{mask.shape[0]}; expected the same size"
        )
    if min(height, width) < rule.patch:
        raise PhotographTooSmall(
            f"the photograph is {width}×{height} pixels, a patch {rule.patch}×{rule.patch}; cut smaller patches"
        )
    for y in range(0, height - rule.patch + 1, rule.stride):
        for x in range(0, width - rule.patch + 1, rule.stride):
            window = np.s_[y : y + rule.patch, x : x + rule.patch]
            classes = mask[window]
            marked = classes[classes > 0]
            yield Cut(
                x=x,
                y=y,
                pixels=photograph[window],
                label=rule.label(marked.size),
                defect_class=int(np.bincount(marked).argmax()) if marked.size else 0,
            )


@dataclass(frozen=True)
class IngestSummary:
    """What an ingest made: counts of patches, photographs and groups, and of what it left out and why."""

    dataset: str
    patches: int
    defective: int
    sources: int
    groups: int
    undecided: int = 0
    blank: int = 0
    thinned: int = 0


@dataclass
class Cutter:
    """Cuts photographs into a new dataset and counts what it does.

    Attributes:
        writer: the dataset that is being written.
        rule: how to cut and label.
        class_names: name of a mask value, for the column `defect_type`; other values are named by their number.
        keep_defective: share of the defective patches that is kept. Which ones depends on `seed` and on the patch's
            name alone, so that photographs added later do not change the choice.
        seed: of that choice.
    """

    writer: DatasetWriter
    rule: CutRule
    class_names: Mapping[int, str] = field(default_factory=dict)
    keep_defective: float = 1.0
    seed: int = 0
    undecided: int = 0
    blank: int = 0
    thinned: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.keep_defective <= 1.0:
            raise CutRuleInvalid(f"The share of defective patches to keep is {self.keep_defective}; expected 0 to 1.")

    def add(
        self, source_id: str, photograph: np.ndarray, mask: np.ndarray, *, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Cuts one photograph and adds its patches.

        Args:
            source_id: the photograph's name; must be unique.
            photograph: uint8, (height, width) or (height, width, 3).
            mask: integers, (height, width); 0 is clean, any other value a class of defect.
            metadata: columns that all patches of this photograph share, such as `group_id`.

        Raises:
            SizesDiffer: mask and photograph are not of one size.
            PhotographTooSmall: not one patch fits.
        """
        for piece in cut(photograph, mask, self.rule):
            patch_id = f"{flat_name(source_id)}_x{piece.x:04d}_y{piece.y:04d}"
            if piece.label is None:
                self.undecided += 1
            elif piece.label == CLEAN and piece.pixels.std() < self.rule.min_contrast:
                self.blank += 1
            elif piece.label == DEFECTIVE and not self._kept(patch_id):
                self.thinned += 1
            else:
                self.writer.add(
                    patch_id,
                    piece.pixels,
                    label=piece.label,
                    source_id=source_id,
                    metadata={
                        **(metadata or {}),
                        "x": piece.x,
                        "y": piece.y,
                        "defect_type": self._name(piece) if piece.label == DEFECTIVE else "",
                    },
                )

    def summary(self, dataset: str) -> IngestSummary:
        """Returns the counts so far."""
        rows = self.writer.rows
        return IngestSummary(
            dataset=dataset,
            patches=len(rows),
            defective=sum(row["label"] == DEFECTIVE for row in rows),
            sources=len({row["source_id"] for row in rows}),
            groups=len({row.get("group_id") or row["source_id"] for row in rows}),
            undecided=self.undecided,
            blank=self.blank,
            thinned=self.thinned,
        )

    def _name(self, piece: Cut) -> str:
        return self.class_names.get(piece.defect_class, str(piece.defect_class))

    def _kept(self, patch_id: str) -> bool:
        if self.keep_defective == 1.0:
            return True
        digest = hashlib.blake2b(f"{self.seed}/{patch_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64 < self.keep_defective
