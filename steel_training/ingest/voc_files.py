"""Which XML file belongs to which photograph."""

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
    """A photograph could have several annotations, or an annotation several photographs."""


@dataclass(frozen=True)
class Matches:
    """Photographs and XML files.

    Attributes:
        files: the XML file of every photograph that has exactly one.
        ambiguous: what is wrong with a photograph of which that cannot be said.
        unmatched: XML files that belong to no photograph.
    """

    files: Mapping[str, str]
    ambiguous: Mapping[str, AnnotationAmbiguous]
    unmatched: Sequence[str]


def match_files(photographs: Sequence[str], storage: Storage) -> Matches:
    """Finds the XML file of every photograph: of the same path, or else of the same name alone, where that is the only one of its name.

    NEU-DET sorts its photographs into a folder a class and its annotations into one.

    Args:
        photographs: paths without suffix.
        storage: of the XML files.
    """
    by_path: dict[str, str] = {}
    for key in sorted(entry.key for entry in storage.entries()):
        path = PurePosixPath(key)
        if path.suffix.lower() == ".xml" and not path.name.startswith("."):
            by_path.setdefault(composed(str(path.with_suffix(""))), key)
    files = {photograph: by_path[composed(photograph)] for photograph in photographs if composed(photograph) in by_path}
    taken = set(files.values())
    free: dict[str, list[str]] = defaultdict(list)
    for path_name, key in by_path.items():
        if key not in taken:
            free[PurePosixPath(path_name).name].append(key)
    waiting: dict[str, list[str]] = defaultdict(list)
    for photograph in photographs:
        if photograph not in files:
            waiting[PurePosixPath(composed(photograph)).name].append(photograph)
    ambiguous: dict[str, AnnotationAmbiguous] = {}
    for name, alike in waiting.items():
        found = free.get(name, [])
        if len(found) == len(alike) == 1:
            files[alike[0]] = found[0]
        elif found:
            ambiguous |= {
                photograph: AnnotationAmbiguous(
                    f"{photograph} could belong to {first_ten(found)}"
                    f"{f', and so could {first_ten(other for other in alike if other != photograph)}' if len(alike) > 1 else ''}. "
                    "Put the XML files into folders as the photographs are, or give every photograph a name of its own."
                )
                for photograph in alike
            }
    used = set(files.values()) | {
        key for name in waiting if any(other in ambiguous for other in waiting[name]) for key in free[name]
    }
    return Matches(files, ambiguous, [key for key in by_path.values() if key not in used])
