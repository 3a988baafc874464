"""Cuts source images with pixel masks into labelled patches: one rule for all formats.

A patch is clean up to `clean_max` of defect pixels and defective from `defective_min` (or from `defective_pixels`,
whichever is less). Patches in between are dropped: two inspectors would not agree on them, and an ambiguous label
teaches nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from steel_training.data.dataset import CLEAN, DEFECTIVE, DatasetWriter
from steel_training.errors import UsageError
from steel_training.ingest.cut_rule import CutRule, CutRuleInvalid
from steel_training.ingest.record import Basis, IngestRecord
from steel_training.ingest.source_images import flat_name

# In a mask: pixels that were not annotated.
IGNORED = -1
# Called with (done, total) after each image (or patch, or coil).
Progress = Callable[[int, int], None]


class SizesDiffer(UsageError):
    """An image and its mask (or annotation) differ in size."""


class SourceImageTooSmall(UsageError):
    """An image is smaller than one patch."""


@dataclass(frozen=True)
class Cut:
    """A patch cut from an image.

    Attributes:
        x: left edge in the image, pixels.
        y: top edge.
        pixels: uint8, (patch, patch) or (patch, patch, 3).
        label: 0, 1, or `None` where the rule leaves it undecided.
        defect_class: the mask value that covers most of it; 0 where there is none.
        values: mask values above 0 that occur in it.
        ignored: it is undecided only because of pixels that were not annotated.
    """

    x: int
    y: int
    pixels: np.ndarray
    label: int | None
    defect_class: int
    values: tuple[int, ...] = ()
    ignored: bool = False


def cut(image: np.ndarray, mask: np.ndarray, rule: CutRule) -> Iterator[Cut]:
    """Yield the patches of an image, row by row.

    The grid starts at the top left. Where it ends before the right or bottom edge, a last column and row are added flush with it.

    Args:
        image: uint8, (height, width) or (height, width, 3).
        mask: integers, (height, width); 0 is clean, above 0 a class of defect, `IGNORED` neither.
        rule: how to cut and label.

    Raises:
        SizesDiffer: mask and image differ in size.
        SourceImageTooSmall: not one patch fits.
    """
    _check_sizes(image, mask)
    height, width = mask.shape
    if min(height, width) < rule.patch:
        raise SourceImageTooSmall(
            f"the image is {width}×{height} pixels, a patch {rule.patch}×{rule.patch}; cut smaller patches"
        )
    for y in rule.starts(height):
        for x in rule.starts(width):
            window = np.s_[y : y + rule.patch, x : x + rule.patch]
            classes = mask[window]
            counts = np.bincount(classes[classes > 0])
            defects, ignored = int(counts.sum()), int((classes == IGNORED).sum())
            label = rule.label(defects, ignored)
            yield Cut(
                x=x,
                y=y,
                pixels=image[window],
                label=label,
                defect_class=int(counts.argmax()) if defects else 0,
                values=tuple(np.flatnonzero(counts).tolist()),
                ignored=label is None and rule.label(defects) is not None,
            )


def _check_sizes(image: np.ndarray, mask: np.ndarray) -> None:
    height, width = image.shape[:2]
    if mask.shape != (height, width):
        raise SizesDiffer(
            f"the image is {width}×{height} pixels, its mask {mask.shape[1]}×{mask.shape[0]}; expected the same size"
        )


@dataclass(frozen=True)
class IngestSummary:
    """Counts of an ingest (patches, images, groups, what was left out and why) and its full record."""

    dataset: str
    patches: int
    defective: int
    sources: int
    groups: int
    undecided: int = 0
    blank: int = 0
    thinned: int = 0
    record: IngestRecord | None = None


@dataclass
class Cutter:
    """Cuts images into a new dataset and counts what it does.

    Attributes:
        writer: the dataset that is being written.
        rule: how to cut and label.
        class_names: names of mask values, for the column `defect_type`; other values are named by their number.
        keep_defective: share of the defective patches that is kept. Which ones depends on `seed` and on the patch's
            name alone, so that images added later do not change the choice.
        seed: of that choice.
        record: counts so far.
    """

    writer: DatasetWriter
    rule: CutRule
    class_names: Mapping[int, str] = field(default_factory=dict)
    keep_defective: float = 1.0
    seed: int = 0
    record: IngestRecord = field(default_factory=IngestRecord)

    def __post_init__(self) -> None:
        if not 0.0 < self.keep_defective <= 1.0:
            raise CutRuleInvalid(f"The share of defective patches to keep is {self.keep_defective}; expected 0 to 1.")

    def add(
        self,
        source_id: str,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        annotated: bool = True,
        metadata: Mapping[str, str | int] | None = None,
    ) -> None:
        """Cut one image and add its patches.

        Args:
            source_id: the image's name; must be unique.
            image: uint8, (height, width) or (height, width, 3).
            mask: integers, (height, width); 0 is clean, above 0 a class of defect, `IGNORED` neither.
            annotated: whether there is an annotation; an image without one is counted as clean for lack of it.
            metadata: columns that all patches of this image share, such as `group_id`.

        Raises:
            SizesDiffer: mask and image differ in size.
            SourceImageTooSmall: not one patch fits.
        """
        defects = bool((mask > 0).any())
        # Pixels inside patches labelled defective, kept or not; a defect with none of them is in no patch.
        seen = np.zeros(mask.shape, bool) if defects else None
        for piece in cut(image, mask, self.rule):
            if piece.label == DEFECTIVE and seen is not None:
                seen[piece.y : piece.y + self.rule.patch, piece.x : piece.x + self.rule.patch] = True
            self._add(source_id, piece, metadata or {})
        basis = Basis.DEFECTS if defects else Basis.CLEAN if annotated else Basis.UNNAMED
        self.record.count_image(source_id, basis)
        self._note_uncovered(source_id, *mask.shape)
        if seen is not None and not seen.all():
            self._note_unseen(source_id, mask, seen)

    def add_whole(
        self,
        source_id: str,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        annotated: bool = True,
        metadata: Mapping[str, str | int] | None = None,
    ) -> None:
        """Add a whole image as one patch: defective with any defect pixel, of the class with most of them.

        Args:
            source_id: the image's name; must be unique.
            image: uint8, (height, width) or (height, width, 3).
            mask: as for `add`; an image without defects is dropped if pixels of it were not annotated.
            annotated: whether there is an annotation.
            metadata: further columns, such as `group_id`.

        Raises:
            SizesDiffer: mask and image differ in size.
        """
        _check_sizes(image, mask)
        counts = np.bincount(mask[mask > 0])
        defects = bool(counts.size)
        self.record.count_image(source_id, Basis.DEFECTS if defects else Basis.CLEAN if annotated else Basis.UNNAMED)
        if not defects and (mask == IGNORED).any():
            self.record.dropped["ignored"] += 1
            return
        self.record.by_value.update(np.flatnonzero(counts).tolist())
        kind = self._name(int(counts.argmax())) if defects else None
        self._write(flat_name(source_id), source_id, image, kind, {**(metadata or {}), "x": 0, "y": 0})

    def _write(
        self, patch_id: str, source_id: str, pixels: np.ndarray, kind: str | None, metadata: Mapping[str, str | int]
    ) -> None:
        if kind is None:
            self.record.clean += 1
        else:
            self.record.defective += 1
            self.record.by_class[kind] += 1
        label = CLEAN if kind is None else DEFECTIVE
        metadata = {**metadata, "defect_type": kind or ""}
        self.writer.add(patch_id, pixels, label=label, source_id=source_id, metadata=metadata)

    def _add(self, source_id: str, piece: Cut, metadata: Mapping[str, str | int]) -> None:
        patch_id = f"{flat_name(source_id)}_x{piece.x:04d}_y{piece.y:04d}"
        record = self.record
        if piece.label is None:
            record.dropped["ignored" if piece.ignored else "undecided"] += 1
            return
        if piece.label == CLEAN and piece.pixels.std() < self.rule.min_contrast:
            record.dropped["blank"] += 1
            return
        if piece.label == DEFECTIVE and not self._kept(patch_id):
            record.dropped["thinned"] += 1
            return
        record.by_value.update(piece.values)
        kind = self._name(piece.defect_class) if piece.label == DEFECTIVE else None
        self._write(patch_id, source_id, piece.pixels, kind, {**metadata, "x": piece.x, "y": piece.y})

    def _note_uncovered(self, source_id: str, height: int, width: int) -> None:
        covered = 1.0
        for side in (height, width):
            along = np.zeros(side, bool)
            for start in self.rule.starts(side):
                along[start : start + self.rule.patch] = True
            covered *= float(along.mean())
        if covered < 1.0:
            self.record.uncovered[source_id] = round(1.0 - covered, 4)

    def _note_unseen(self, source_id: str, mask: np.ndarray, seen: np.ndarray) -> None:
        for value in np.unique(mask[(mask > 0) & ~seen]).tolist():
            pieces, _ = ndimage.label(mask == value, structure=np.ones((3, 3)))
            for number in sorted(set(np.unique(pieces)) - set(np.unique(pieces[seen])) - {0}):
                rows, columns = np.nonzero(pieces == number)
                self.record.in_no_patch.append(
                    {
                        "source_id": source_id,
                        "class": self._name(value),
                        "x": int(columns.min()),
                        "y": int(rows.min()),
                        "pixels": len(rows),
                    }
                )

    def summary(self, dataset: str) -> IngestSummary:
        """Return the counts so far."""
        rows = self.writer.rows
        return IngestSummary(
            dataset=dataset,
            patches=len(rows),
            defective=sum(row["label"] == DEFECTIVE for row in rows),
            sources=len({row["source_id"] for row in rows}),
            groups=len({row.get("group_id") or row["source_id"] for row in rows}),
            undecided=self.record.dropped["undecided"] + self.record.dropped["ignored"],
            blank=self.record.dropped["blank"],
            thinned=self.record.dropped["thinned"],
            record=self.record,
        )

    def _name(self, value: int) -> str:
        return self.class_names.get(value, str(value))

    def _kept(self, patch_id: str) -> bool:
        if self.keep_defective == 1.0:
            return True
        digest = hashlib.blake2b(f"{self.seed}/{patch_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64 < self.keep_defective
