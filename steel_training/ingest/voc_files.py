"""Which XML file belongs to which source image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from steel_training.errors import UsageError
from steel_training.ingest.problems import first_ten
from steel_training.ingest.source_images import composed
from steel_training.storage import Storage


class AnnotationAmbiguous(UsageError):
    """An image could have several annotations, or an annotation several images."""


@dataclass(frozen=True)
class Matches:
    """Which images and XML files belong together.

    Attributes:
        files: the XML file of every image with exactly one.
        ambiguous: the problem of every image with several candidates.
        unmatched: XML files that belong to no image.
    """

    files: Mapping[str, str]
    ambiguous: Mapping[str, AnnotationAmbiguous]
    unmatched: Sequence[str]


def match_files(images: Sequence[str], storage: Storage) -> Matches:
    """Finds the XML file of every image: by path, or else by file name where that is unique.

    NEU-DET has one folder of images per class, and one folder of annotations.

    Args:
        images: paths without suffix.
        storage: of the XML files.
    """
    by_path: dict[str, str] = {}
    for key in sorted(entry.key for entry in storage.entries()):
        path = PurePosixPath(key)
        if path.suffix.lower() == ".xml" and not path.name.startswith("."):
            by_path.setdefault(composed(str(path.with_suffix(""))), key)
    files = {image: by_path[composed(image)] for image in images if composed(image) in by_path}
    taken = set(files.values())
    free: dict[str, list[str]] = defaultdict(list)
    for path_name, key in by_path.items():
        if key not in taken:
            free[PurePosixPath(path_name).name].append(key)
    waiting: dict[str, list[str]] = defaultdict(list)
    for image in images:
        if image not in files:
            waiting[PurePosixPath(composed(image)).name].append(image)
    ambiguous: dict[str, AnnotationAmbiguous] = {}
    for name, same_name in waiting.items():
        found = free.get(name, [])
        if len(found) == len(same_name) == 1:
            files[same_name[0]] = found[0]
        elif found:
            ambiguous |= {
                image: AnnotationAmbiguous(
                    f"{image} could belong to {first_ten(found)}"
                    f"{f', and so could {first_ten(other for other in same_name if other != image)}' if len(same_name) > 1 else ''}. "
                    "Put the XML files into folders as the images are, or give every image a unique name."
                )
                for image in same_name
            }
    used = set(files.values()) | {
        key for name in waiting if any(other in ambiguous for other in waiting[name]) for key in free[name]
    }
    return Matches(files, ambiguous, [key for key in by_path.values() if key not in used])
