"""Scores images with a published bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from steel_training.data.images import ImageUnreadable, without_tiff
from steel_training.errors import UsageError
from steel_training.registry import Registry
from steel_training.serving.model import LoadedModel


class ImageNotFound(UsageError):
    """A file to be scored does not exist or is not a supported image."""


class Scored(TypedDict):
    """One image of `predict`: score, label (0 clean, 1 defective), operating threshold, model version."""

    image: str
    score: float
    label: int
    threshold: float
    version: str


def predict(registry: Registry, images: Sequence[str], *, version: str | None = None) -> list[Scored]:
    """Scores image files with the champion, or with a named version.

    Args:
        registry: of the model.
        images: paths of PNG, JPEG, BMP or TIFF files, 8-bit, grey or RGB,
            at most `images.MAX_SIDE` pixels per side.
        version: version to use instead of the champion.

    Returns:
        One row per image, in order.

    Raises:
        ImageNotFound: a file is missing, not an image, too large, or neither 8-bit grey nor RGB; nothing is scored.
        VersionNotFound: there is no such version, or no champion.
    """
    files = [_read(image) for image in images]
    with registry.bundle(version) as (found, folder):
        model = LoadedModel(found, folder)
    return [
        {
            "image": image,
            "score": round(answer.score, 6),
            "label": answer.label,
            "threshold": round(answer.threshold, 6),
            "version": answer.version,
        }
        for image, answer in zip(images, model.score(files), strict=True)
    ]


def _read(image: str) -> bytes:
    try:
        return without_tiff(Path(image).read_bytes())
    except OSError as error:
        raise ImageNotFound(
            f"{image} cannot be read ({error.strerror}). Expected an existing PNG, JPEG, BMP or TIFF file."
        ) from None
    except ImageUnreadable as error:
        raise ImageNotFound(f"{image} cannot be scored: {error}.") from None
