"""Packs a dataset: the same patches and manifest, thousands of patches per ZIP file. What `steel-training pack` does."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from steel_training.data.dataset import Dataset, find_dataset, ingest_record_of, new_folder, write_manifest
from steel_training.errors import UsageError
from steel_training.ingest.tiling import Progress
from steel_training.storage import confined, object_of
from steel_training.storage.packed import PATCHES_PER_FILE, SUFFIX

_READ_AT_ONCE = 16
_FIRST_YEAR = 1980  # of a ZIP file's dates


@dataclass(frozen=True)
class Packed:
    """What was made.

    Attributes:
        dataset: where it is.
        patches: how many.
        files: ZIP files that they are packed in.
    """

    dataset: str
    patches: int
    files: int


def pack(uri: str, out: str, *, patches_a_file: int = PATCHES_PER_FILE, progress: Progress | None = None) -> Packed:
    """Write a packed copy of a dataset: all of it, or nothing. File bytes, times and all columns but `path` stay as they are.

    Patches are packed in the order of the manifest, which is the order in which they are read.

    Args:
        uri: folder or S3 prefix; of dated versions the newest.
        out: folder or S3 prefix of the copy; must be empty.
        patches_a_file: at most.
        progress: called with the patches done so far and their total.

    Raises:
        UsageError: the dataset is packed already, or names no files.
        OutputExists: `out` is not empty.
        StorageError: a file cannot be read, or written.
        PathEscapes: a path leaves the dataset.
    """
    dataset = find_dataset(uri)
    if "path" not in dataset.manifest or dataset.manifest["path"].isna().any():
        raise UsageError(
            f"{dataset.storage.location(dataset.manifest_name)} has patches without a path; nothing was written."
        )
    paths = list(dict.fromkeys(confined(str(path)) for path in dataset.manifest["path"]))
    if any(object_of(path) != path for path in paths):
        raise UsageError(f"{dataset.uri} is packed already; nothing was written.")
    written = {entry.key: entry.modified for entry in dataset.storage.contents()}
    places: dict[str, str] = {}
    with new_folder(out, last=dataset.manifest_name) as folder:
        for number, start in enumerate(range(0, len(paths), patches_a_file)):
            name, some = f"patches-{number:05d}{SUFFIX}", paths[start : start + patches_a_file]
            _write(folder / name, dataset, some, written)
            places |= {path: f"{name}/{path}" for path in some}
            if progress is not None:
                progress(start + len(some), len(paths))
        for name in ingest_record_of(dataset):
            dataset.storage.copy_to(name, folder / name)
        manifest = dataset.manifest.assign(path=[places[confined(str(path))] for path in dataset.manifest["path"]])
        write_manifest(folder / dataset.manifest_name, manifest)
    return Packed(out, len(dataset.manifest), -(-len(paths) // patches_a_file))


def _write(target: Path, dataset: Dataset, paths: Sequence[str], written: dict[str, float]) -> None:
    """Store files as they are: images are packed already."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as file, ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        for path, data in zip(paths, pool.map(dataset.storage.read, paths), strict=True):
            when = max(datetime.fromtimestamp(written.get(path, 0.0), UTC), datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC))
            file.writestr(zipfile.ZipInfo(path, when.timetuple()[:6]), data)
