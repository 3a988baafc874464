"""Sources of pretrained weights, and an early check that they exist, before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from steel_training.errors import SteelTrainingError, UsageError
from steel_training.storage import open_storage

WORDS = AUTO, IMAGENET, STEEL, NONE = "auto", "imagenet", "steel", "none"
"""Keywords of `model.weights`; anything else is a file or `s3://` URI."""

PACKAGED = {"EfficientNetB0": Path(__file__).parents[1] / "pretrained" / "efficientnetb0_steel.weights.h5"}
"""The project's own weights, by backbone; `pretrained/README.md` documents their origin and metrics."""


class WeightsNotFound(UsageError):
    """The named weights file does not exist."""


class WeightsUnusable(SteelTrainingError):
    """The weights could not be loaded, or do not fit the backbone."""


@dataclass(frozen=True)
class LoadedWeights:
    """Description of the loaded weights, for the log, the report and the lineage."""

    source: str
    detail: str
    random: bool

    def as_dict(self) -> dict[str, str | bool]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LoadedWeights:
        """Read the fields back."""
        return cls(**{each.name: values[each.name] for each in fields(cls)})


def check_weights(wanted: str, backbone: str) -> None:
    """Check that the configured weights exist, before hours of work.

    Raises:
        WeightsNotFound: `wanted` is a path or URI without a file, or `steel` and there are none for this backbone.
    """
    if wanted == STEEL and backbone not in PACKAGED:
        raise WeightsNotFound(
            f"There are no steel weights for {backbone}, only for {', '.join(PACKAGED)}. Choose that backbone, or set "
            "model.weights to a weights file (path or s3:// URI) or to imagenet."
        )
    if wanted in (AUTO, IMAGENET, STEEL, NONE):
        return
    parent, name = split_uri(wanted)
    if not open_storage(parent).exists(name):
        raise no_file(wanted)


def no_file(uri: str) -> WeightsNotFound:
    """Return the error for a weights file that is not there."""
    return WeightsNotFound(
        f"There is no weights file at {uri}. Set model.weights to an existing .weights.h5 or .h5 file "
        "(path or s3:// URI), or to auto, imagenet, steel or none."
    )


def split_uri(uri: str) -> tuple[str, str]:
    """Return folder (or S3 prefix) and name of a weights file.

    Raises:
        WeightsNotFound: the URI names a folder.
    """
    parent, _, name = uri.rpartition("/")
    if not name:
        raise WeightsNotFound(f"{uri} names a folder; expected a weights file (.weights.h5 or .h5).")
    return parent or ("/" if uri.startswith("/") else "."), name
