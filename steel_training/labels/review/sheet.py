"""The patches that may be reviewed, and what is shown beside each: a record that Airflow's API server reads without NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from steel_training.errors import SteelTrainingError
from steel_training.storage import schema
from steel_training.storage.json_types import Json

REVIEW_SHEET = "review.json"
"""Name of the record in the folder of the stage `audit_labels`."""


class SheetUnreadable(SteelTrainingError):
    """The record of patches to review is damaged, or of another kind."""


@dataclass(frozen=True)
class Neighbour:
    """A patch that looks like another.

    Attributes:
        patch_id: of the patch.
        path: of its file, relative to the dataset.
    """

    patch_id: str
    path: str


@dataclass(frozen=True)
class Placed:
    """A patch of the same source image.

    Attributes:
        path: of its file, relative to the dataset.
        right: how far it lies to the right of the reviewed patch, in widths of a patch; negative: to the left.
        down: how far below, in heights of a patch.
    """

    path: str
    right: float
    down: float


@dataclass(frozen=True)
class SheetPatch:
    """A patch that may be reviewed.

    Attributes:
        patch_id: of the manifest.
        path: of its file, relative to the dataset.
        label: as given.
        split: of the patch; empty if unknown.
        suspect: whether the audit finds the label more likely wrong than right.
        suggested: the more likely label; None without an audit.
        quality: probability that the label is right; None without an audit.
        score: of the audit; None without one.
        around: patches of the same source image near it; empty where the manifest does not say where patches were cut.
        clean: nearest patches labelled clean, of other groups.
        defective: nearest patches labelled defective, of other groups.
    """

    patch_id: str
    path: str
    label: int
    split: str = ""
    suspect: bool = False
    suggested: int | None = None
    quality: float | None = None
    score: float | None = None
    around: tuple[Placed, ...] = ()
    clean: tuple[Neighbour, ...] = ()
    defective: tuple[Neighbour, ...] = ()

    @property
    def judged(self) -> dict[str, Json]:
        """The label and what the audit says of it: what a blind review hides."""
        return {"label": self.label, "suggested": self.suggested, "quality": self.quality, "score": self.score}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SheetPatch:
        """Read a patch back."""
        return cls(
            **{
                **values,
                "around": tuple(Placed(**each) for each in values["around"]),
                "clean": tuple(Neighbour(**each) for each in values["clean"]),
                "defective": tuple(Neighbour(**each) for each in values["defective"]),
            }
        )


@dataclass(frozen=True)
class Sheet:
    """The patches of one dataset version that may be reviewed.

    Attributes:
        dataset: URI of the version.
        fingerprint: of the version when it was audited.
        manifest: name of its manifest file.
        manifest_md5: MD5 of that file, by which a reader without pandas sees that labels or rows changed.
        patches: worst label first.
    """

    dataset: str
    fingerprint: str
    manifest: str
    manifest_md5: str
    patches: tuple[SheetPatch, ...]

    def to_dict(self) -> dict[str, Json]:
        """Return the fields as JSON values."""
        return {schema.KEY: schema.SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sheet:
        """Read a sheet back.

        Raises:
            WrittenByNewer: a later version of this program wrote it.
            SheetUnreadable: it is damaged.
        """
        try:
            schema.readable(values, "The list of patches to review")
            patches = tuple(SheetPatch.from_dict(each) for each in values["patches"])
            texts = {name: str(values[name]) for name in ("dataset", "fingerprint", "manifest", "manifest_md5")}
        except (KeyError, TypeError, AttributeError) as error:
            raise SheetUnreadable(f"The list of patches to review is damaged ({error}); run the audit again.") from None
        return cls(**texts, patches=patches)
