"""Scores images with a published bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steel_training.bundle import SAVED_MODEL
from steel_training.errors import UsageError
from steel_training.pixels import ImageUnreadable, without_tiff
from steel_training.registry import Registry

BATCH = 32


class ImageNotFound(UsageError):
    """A file that should be scored does not exist or is no image."""


def predict(registry: Registry, images: Sequence[str], *, version: str | None = None) -> list[dict[str, Any]]:
    """Scores image files with the champion, or with a named version.

    Args:
        registry: of the model.
        images: paths of PNG, JPEG, BMP or TIFF files, 8-bit, grey or RGB.
        version: instead of the champion.

    Returns:
        One row an image: `image`, `score`, `label` (0 clean, 1 defective), `threshold`, `version`.

    Raises:
        ImageNotFound: a file is missing, no image, or neither 8-bit grey nor RGB; nothing is scored then.
        VersionNotFound: there is no such version, or no champion.
    """
    files = [_read(image) for image in images]
    with registry.bundle(version) as (found, folder):
        import tensorflow as tf

        serve = tf.saved_model.load(str(folder / SAVED_MODEL)).signatures["serving_default"]
        rows: list[dict[str, Any]] = []
        for start in range(0, len(files), BATCH):
            answer = serve(image_bytes=tf.constant(files[start : start + BATCH]))
            columns = {name: answer[name].numpy() for name in ("score", "label", "threshold")}
            rows += [
                {
                    "image": image,
                    "score": round(float(columns["score"][i]), 6),
                    "label": int(columns["label"][i]),
                    "threshold": round(float(columns["threshold"][i]), 6),
                    "version": found,
                }
                for i, image in enumerate(images[start : start + BATCH])
            ]
    return rows


def _read(image: str) -> bytes:
    try:
        return without_tiff(Path(image).read_bytes())
    except OSError as error:
        raise ImageNotFound(
            f"{image} cannot be read ({error.strerror}). Name existing PNG, JPEG, BMP or TIFF files."
        ) from None
    except ImageUnreadable as error:
        raise ImageNotFound(f"{image} is no image that can be scored: {error}.") from None
