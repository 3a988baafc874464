"""Which annotation belongs to which source image, by the names that both have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from steel_training.ingest.annotations import AnnotationAmbiguous
from steel_training.ingest.problems import first_ten
from steel_training.ingest.source_images import composed


@dataclass(frozen=True)
class Matches:
    """Which images and annotations belong together.

    Attributes:
        found: the annotation of every image with exactly one.
        ambiguous: the problem of every image with several candidates.
        unmatched: annotations that belong to no image.
    """

    found: Mapping[str, str]
    ambiguous: Mapping[str, AnnotationAmbiguous]
    unmatched: Sequence[str]


def match_names(images: Collection[str], annotations: Mapping[str, str], noun: str) -> Matches:
    """Find the annotation of every image: by path, else by file name where that is unique, else by the end of the path.

    NEU-DET has one folder of images per class, and one folder of annotations; exports name images by paths of another machine.

    Args:
        images: paths without suffix.
        annotations: path without suffix → how messages name it.
        noun: what an annotation is, in the plural, for messages.
    """
    waiting: dict[str, list[str]] = defaultdict(list)
    found: dict[str, str] = {}
    for image in images:
        if composed(image) in annotations:
            found[image] = composed(image)
        else:
            waiting[_file_name(composed(image))].append(image)
    taken = set(found.values())
    free: dict[str, list[str]] = defaultdict(list)
    for annotation in annotations:
        if annotation not in taken:
            free[_file_name(annotation)].append(annotation)
    ambiguous: dict[str, AnnotationAmbiguous] = {}
    for name, same_name in waiting.items():
        if len(same_name) == len(free.get(name, ())) == 1:
            found[same_name[0]] = free.pop(name)[0]
        elif name in free:
            found |= _by_end(same_name, free[name])
            free[name] = [other for other in free[name] if other not in found.values()]
            left = [image for image in same_name if image not in found] if free[name] else []
            labels = [annotations[other] for other in free[name]]
            ambiguous |= {image: _ambiguous(image, left, labels, noun) for image in left}
            if left:
                free.pop(name)
    unmatched = [annotations[other] for others in free.values() for other in others]
    return Matches(found, ambiguous, unmatched)


def _file_name(path: str) -> str:
    return PurePosixPath(path).name


def _by_end(images: Sequence[str], annotations: Sequence[str]) -> dict[str, str]:
    """Return pairs of which one path ends as the other, where that fits no third."""
    fits = {
        image: [
            other
            for other in annotations
            if f"/{other}".endswith(f"/{composed(image)}") or f"/{composed(image)}".endswith(f"/{other}")
        ]
        for image in images
    }
    taken = [other for others in fits.values() for other in others]
    return {image: others[0] for image, others in fits.items() if len(others) == 1 and taken.count(others[0]) == 1}


def _ambiguous(image: str, images: Sequence[str], labels: Sequence[str], noun: str) -> AnnotationAmbiguous:
    others = [other for other in images if other != image]
    return AnnotationAmbiguous(
        f"{image} could belong to {first_ten(labels)}{f', and so could {first_ten(others)}' if others else ''}. "
        f"Name the {noun} by folders as the images are, or give every image a unique name."
    )
