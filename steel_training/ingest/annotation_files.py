"""Annotations with one file per image: found below a folder by suffix."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import PurePosixPath

from steel_training.ingest.annotations import Annotation
from steel_training.ingest.regions import Region
from steel_training.ingest.source_images import SourceImage, composed
from steel_training.storage import Storage

# Reads the regions of one file: content, image, address.
ReadFile = Callable[[bytes, SourceImage, str], Sequence[Region]]


def annotation_files(
    storage: Storage, suffix: str, read: ReadFile, *, other_files: Collection[str] = ()
) -> dict[str, Annotation]:
    """Find annotation files; nothing is read before its image is opened.

    Args:
        storage: of the files.
        suffix: in lower case, with the dot.
        read: reads one file.
        other_files: names of files with this suffix that annotate no image.

    Returns:
        Path without suffix → annotation.
    """
    found: dict[str, Annotation] = {}
    for key in sorted(entry.key for entry in storage.entries()):
        path = PurePosixPath(key)
        if path.suffix.lower() != suffix or path.name.startswith(".") or path.name in other_files:
            continue
        found.setdefault(composed(str(path.with_suffix(""))), Annotation(key, partial(_read, storage, key, read)))
    return found


def _read(storage: Storage, key: str, read: ReadFile, source: SourceImage) -> Sequence[Region]:
    return read(storage.read(key), source, storage.location(key))
