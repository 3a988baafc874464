"""Scores images with a published bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NotRequired, TypedDict

from steel_training.bundle.input_record import InputRecord
from steel_training.data.grey_range import GreyRange
from steel_training.data.images import ImageUnreadable, without_tiff
from steel_training.errors import UsageError
from steel_training.registry import Registry
from steel_training.serving.model import Answer, LoadedModel
from steel_training.serving.whole_images import overlay


class ImageNotFound(UsageError):
    """A file to be scored does not exist or is not a supported image."""


class GreyRangeContradicted(UsageError):
    """A grey range was typed, and the version has another one on record."""


class OverlaysCollide(UsageError):
    """Two images of one name would get the same overlay."""


class Scored(TypedDict):
    """One image of `predict`: score, label (0 clean, 1 defective), operating threshold, model version.

    An image larger than a patch also has the number of patches that it was cut into (`cut`), how many of them are blank and were not
    scored (`blank`), and those that reach the threshold (`patches`: x, y, width, height, score); its score is the highest.
    """

    image: str
    score: float
    label: int
    threshold: float
    version: str
    cut: NotRequired[int]
    blank: NotRequired[int]
    patches: NotRequired[list[dict[str, float]]]


def predict(
    registry: Registry,
    images: Sequence[str],
    *,
    version: str | None = None,
    overlays: Path | None = None,
    grey_range: GreyRange | None = None,
) -> list[Scored]:
    """Score image files with the champion, or with a named version.

    Args:
        registry: of the model.
        images: paths of PNG, JPEG, BMP or TIFF files, 8-bit grey or RGB, or grey of 12 or 16 bits,
            at most `images.MAX_SIDE` pixels per side.
        version: version to use instead of the champion.
        overlays: folder for a PNG of each image with a box around each of its patches that reach the threshold.
        grey_range: how images of more than 8 bits become 8 bits, for a version that has no range on record.

    Returns:
        One row per image, in order.

    Raises:
        ImageNotFound: a file is missing, not an image, too large, or neither 8-bit grey nor RGB, or smaller than a patch; nothing is scored.
        GreyRangeContradicted: the version has another range on record.
        OverlaysCollide: two images have the same name.
        VersionNotFound: there is no such version, or no champion.
    """
    names = [f"{Path(image).name}.png" for image in images]
    if overlays is not None and len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise OverlaysCollide(f"Several images are named {', '.join(twice)[:-4]}; score them one folder at a time.")
    contents = [_read(image) for image in images]
    with registry.bundle(version) as (found, folder):
        own = InputRecord.read(folder).grey_range
        if own is not None and grey_range not in (None, own):
            raise GreyRangeContradicted(
                f"--grey-range is {grey_range}, but version {found} was trained on images that were ingested with {own}: the same steel would "
                "have other grey values. Leave the option out."
            )
        files = [_readable(image, data, own or grey_range) for image, data in zip(images, contents, strict=True)]
        model = LoadedModel(found, folder)
    for image, data in zip(images, files, strict=True):
        try:
            model.places(data)
        except ImageUnreadable as error:
            raise ImageNotFound(f"{image} cannot be scored: {error}.") from None
    answers = model.score(files)
    if overlays is not None:
        overlays.mkdir(parents=True, exist_ok=True)
        for name, data, answer in zip(names, files, answers, strict=True):
            (overlays / name).write_bytes(overlay(data, answer.patches))
    return [_row(image, answer) for image, answer in zip(images, answers, strict=True)]


def _row(image: str, answer: Answer) -> Scored:
    row: Scored = {
        "image": image,
        "score": round(answer.score, 6),
        "label": answer.label,
        "threshold": round(answer.threshold, 6),
        "version": answer.version,
    }
    if answer.cut:
        row["cut"] = answer.cut
        row["blank"] = answer.blank
        row["patches"] = [{**asdict(patch), "score": round(patch.score, 6)} for patch in answer.patches]
    return row


def _read(image: str) -> bytes:
    try:
        return Path(image).read_bytes()
    except OSError as error:
        raise ImageNotFound(
            f"{image} cannot be read ({error.strerror}). Expected an existing PNG, JPEG, BMP or TIFF file."
        ) from None


def _readable(image: str, data: bytes, grey_range: GreyRange | None) -> bytes:
    try:
        return without_tiff(data, grey_range)
    except ImageUnreadable as error:
        raise ImageNotFound(f"{image} cannot be scored: {error}.") from None
