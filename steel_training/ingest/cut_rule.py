"""How source images become labelled patches: the thresholds of a rule, and their defaults per format.

Apart from the cutting itself because the command line shows them in `--help`, which should answer before NumPy is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass

from steel_training.errors import UsageError


class CutRuleInvalid(UsageError):
    """The thresholds for cutting and labelling contradict each other or are out of range."""


@dataclass(frozen=True)
class CutRule:
    """How patches are cut and labelled.

    Attributes:
        patch: side of a patch, pixels.
        stride: step from patch to patch, pixels. Below `patch`, patches of one image overlap; they share its
            `source_id`, so that no split can separate them.
        clean_max: largest share of defect pixels (0..1) in a clean patch.
        defective_min: smallest share of defect pixels in a defective patch.
        defective_pixels: number of defect pixels that makes a patch defective too; `None` leaves it to the share.
        min_contrast: standard deviation of grey below which a clean patch is dropped as blank (no strip on it).
        cover_edges: adds a last column and row of patches at the right and bottom edge where the grid ends before it.
    """

    patch: int = 64
    stride: int = 64
    clean_max: float = 0.0
    defective_min: float = 0.02
    defective_pixels: int | None = None
    min_contrast: float = 0.0
    cover_edges: bool = True

    def __post_init__(self) -> None:
        if not 8 <= self.patch <= 2048:
            raise CutRuleInvalid(f"The patch size is {self.patch} pixels; expected 8 to 2048.")
        if self.stride < 1:
            raise CutRuleInvalid(f"The stride is {self.stride} pixels; expected 1 or more.")
        if not 0.0 <= self.clean_max < 1.0:
            raise CutRuleInvalid(f"The largest defect share of a clean patch is {self.clean_max}; expected 0 to 1.")
        if not 0.0 < self.defective_min <= 1.0:
            raise CutRuleInvalid(
                f"The smallest defect share of a defective patch is {self.defective_min}; expected above 0, at most 1."
            )
        if self.defective_pixels is not None and self.defective_pixels < 1:
            raise CutRuleInvalid(f"A patch is defective from {self.defective_pixels} pixels; expected 1 or more.")
        if not self.clean_max * self.patch**2 < self.defective_from:
            raise CutRuleInvalid(
                f"Patches are clean up to {self.clean_max:.2%} of defect pixels and defective from "
                f"{self.defective_from / self.patch**2:.2%}: the ranges overlap. Lower the first or raise the second."
            )

    @property
    def defective_from(self) -> float:
        """Number of defect pixels from which a patch is defective."""
        by_share = self.defective_min * self.patch**2
        return by_share if self.defective_pixels is None else min(by_share, self.defective_pixels)

    def label(self, defect_pixels: int, ignored_pixels: int = 0) -> int | None:
        """Return the label of a patch: 1 defective, 0 clean, `None` where it is to be dropped.

        Args:
            defect_pixels: in the patch.
            ignored_pixels: that were not annotated; a patch is clean only if it would be even with all of them defective.
        """
        if defect_pixels >= self.defective_from:
            return 1
        return 0 if defect_pixels + ignored_pixels <= self.clean_max * self.patch**2 else None

    def starts(self, side: int) -> list[int]:
        """Return where patches begin along a side of the image; empty where none fits."""
        starts = list(range(0, side - self.patch + 1, self.stride))
        if self.cover_edges and starts and starts[-1] + self.patch < side:
            starts.append(side - self.patch)
        return starts


# A patch is defective from 50 defect pixels or 0.1 % of its area. Images end in black where the strip ends:
# a patch without any strip is not an example of clean steel.
SEVERSTAL_RULE = CutRule(patch=256, stride=128, defective_min=0.001, defective_pixels=50, min_contrast=1.0)

# A box is larger than its defect: a patch that holds only a corner of it may well be clean, and is dropped.
VOC_RULE = CutRule(patch=64, stride=64, defective_min=0.25)
