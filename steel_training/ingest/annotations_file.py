"""Annotations of all images in one file, which names the images by paths of another machine."""

from __future__ import annotations

from pathlib import PurePosixPath

from steel_training.ingest.annotations import AnnotationInvalid
from steel_training.ingest.problems import first_ten
from steel_training.ingest.source_images import SUFFIXES, composed
from steel_training.storage import ObjectNotFound, open_storage


def read_annotations_file(address: str, suffix: str) -> tuple[str, bytes]:
    """Read the one file of annotations.

    Args:
        address: file or `s3://` URI, or a folder that holds one file of that suffix.
        suffix: in lower case, with the dot.

    Returns:
        Its address, and its content.

    Raises:
        AnnotationInvalid: it does not exist, or the folder holds none or several.
    """
    if PurePosixPath(address).suffix.lower() == suffix:
        folder, slash, name = address.rpartition("/")
        try:
            return address, open_storage(folder or slash or ".").read(name)
        except ObjectNotFound:
            raise AnnotationInvalid(f"{address} does not exist; expected a {suffix} file of annotations.") from None
    storage = open_storage(address)
    keys = sorted(
        entry.key
        for entry in storage.entries()
        if PurePosixPath(entry.key).suffix.lower() == suffix and not PurePosixPath(entry.key).name.startswith(".")
    )
    if len(keys) != 1:
        found = f"holds {len(keys):,} {suffix} files: {first_ten(keys)}" if keys else f"holds no {suffix} file"
        raise AnnotationInvalid(f"{address} {found}; expected one. Name the file itself.")
    return storage.location(keys[0]), storage.read(keys[0])


def image_name(path: str) -> str:
    """Return the path of an image as annotations name it, without suffix, with slashes and composed Unicode."""
    path = composed(path.strip().replace("\\", "/")).removeprefix("./")
    name, dot, suffix = path.rpartition(".")
    return name if dot + suffix.lower() in SUFFIXES else path
