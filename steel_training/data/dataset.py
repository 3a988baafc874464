"""The input contract: a folder or S3 prefix with a manifest and its patches, dated versions side by side."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from steel_training.data.versions import is_date, manifest_name
from steel_training.errors import UsageError
from steel_training.storage import PathEscapes, Storage, StorageError, confined, object_of, open_dataset, open_storage

REQUIRED_COLUMNS = ("patch_id", "path", "label", "source_id")
TEXT_COLUMNS = ("patch_id", "path", "source_id", "group_id", "split", "defect_type", "line")
CLEAN, DEFECTIVE = 0, 1

_READ_AT_ONCE = 16


class DatasetNotFound(UsageError):
    """There is no dataset at the address, or none as of the date."""


class ManifestUnreadable(UsageError):
    """The manifest is there but is no table."""


class OutputExists(UsageError):
    """An ingest would write over something."""


@dataclass(frozen=True)
class Dataset:
    """One version of a dataset: where it is, and its manifest as read (not yet validated)."""

    storage: Storage
    version: str | None
    manifest: pd.DataFrame
    manifest_name: str

    @property
    def uri(self) -> str:
        """Address of this version."""
        return self.storage.uri


def find_dataset(uri: str, *, as_of: date | None = None) -> Dataset:
    """Finds the version of a dataset that a run is to use, and reads its manifest.

    Args:
        uri: folder or S3 prefix, either of one version or of dated versions `YYYY-MM-DD/`.
        as_of: takes the newest version not later than this date; `None` takes the newest.

    Raises:
        DatasetNotFound: there is no manifest there, or no version as early as the date.
        ManifestUnreadable: the manifest is no table.
    """
    storage = open_dataset(uri)
    name = manifest_name(storage)
    if name is not None:
        folder = storage.uri.rstrip("/").rpartition("/")[2]
        return Dataset(storage, folder if is_date(folder) else None, _read_manifest(storage, name), name)

    versions = [folder for folder in storage.folders() if is_date(folder)]
    eligible = [version for version in versions if as_of is None or version <= as_of.isoformat()]
    for version in reversed(eligible):
        dated = open_dataset(storage.location(version))
        name = manifest_name(dated)
        if name is not None:
            return Dataset(dated, version, _read_manifest(dated, name), name)
    if versions and not eligible:
        raise DatasetNotFound(
            f"{uri} has no version as of {as_of}: the earliest is {versions[0]}. "
            "Name a later date, or add a version folder of that date."
        )
    raise DatasetNotFound(
        f"There is no dataset at {uri}: found neither manifest.csv nor manifest.parquet, nor a folder YYYY-MM-DD that holds one. "
        "Make one with 'steel-training ingest …', or try 'steel-training sample OUT'."
    )


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 over the manifest and the MD5 of every file it names; of patches that are packed, of the file they are packed in.

    MD5 is what S3 tells in a listing (the ETag), without a file being read: the same patches have the same fingerprint
    in a folder and on S3. Where an ETag is something else (uploads in pieces, encryption by KMS), a copy of the dataset
    counts as changed. A file that is missing or cannot be read counts as such; validation will say so.
    """
    total = hashlib.sha256(dataset.manifest.to_csv(index=False).encode())
    objects = sorted({object_of(str(path)) for path in dataset.manifest.get("path", ())})
    for key, digest in zip(objects, _digests(dataset.storage, objects), strict=True):
        total.update(f"{key}\0{digest}\n".encode())
    return total.hexdigest()


def _digests(storage: Storage, paths: list[str]) -> list[str]:
    etags = {} if storage.is_local else {entry.key: entry.etag for entry in storage.entries()}

    def digest(path: str) -> str:
        try:
            if not storage.is_local:
                return etags[confined(path)].strip('"')
            return storage.md5(path)
        except (KeyError, StorageError, PathEscapes):
            return "missing"

    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        return list(pool.map(digest, paths))


def groups_of(manifest: pd.DataFrame) -> pd.Series:
    """What must not straddle a split: `group_id` where it is given, else `source_id`."""
    source = manifest["source_id"].astype("string")
    if "group_id" not in manifest:
        return source
    group = manifest["group_id"].astype("string")
    return group.where(group.notna() & (group.str.strip() != ""), source)


def _read_manifest(storage: Storage, name: str) -> pd.DataFrame:
    data = storage.read(name)
    try:
        if name.endswith(".parquet"):
            table = pd.read_parquet(io.BytesIO(data))
        elif not data.strip():
            table = pd.DataFrame(columns=list(REQUIRED_COLUMNS))
        else:
            as_text = dict.fromkeys(TEXT_COLUMNS, "string")
            table = pd.read_csv(io.BytesIO(data), dtype=as_text, keep_default_na=False, na_values=[""])
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise ManifestUnreadable(
            f"{storage.location(name)} cannot be read as a table: {error}. "
            f"Expected columns {', '.join(REQUIRED_COLUMNS)} and one row a patch."
        ) from None
    for column in TEXT_COLUMNS:
        if column in table:
            table[column] = table[column].astype("string")
    return table


@dataclass
class DatasetWriter:
    """Collects patches for a new dataset; `new_dataset` makes it whole in one step at the end."""

    folder: Path
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        patch_id: str,
        pixels: np.ndarray,
        *,
        label: int,
        source_id: str,
        subfolder: str = "patches",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes one patch as PNG and notes its row.

        Args:
            patch_id: unique; becomes the file's name.
            pixels: uint8, (height, width) or (height, width, 3).
            label: 0 clean, 1 defective.
            source_id: the photograph that the patch was cut from.
            subfolder: folder of the file below the dataset.
            metadata: further columns, such as `group_id`, `x`, `y`, `defect_type`.
        """
        path = confined(f"{subfolder}/{patch_id}.png")
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target, format="PNG", compress_level=1)
        self.rows.append(
            {"patch_id": patch_id, "path": path, "label": int(label), "source_id": source_id, **(metadata or {})}
        )


def new_copy(dataset: Dataset, manifest: pd.DataFrame, out: str) -> None:
    """Writes a dataset with another manifest and the same files: all of it, or nothing when something fails on the way.

    Files are copied, not linked: what is changed in one dataset must not change in the other. In a folder they keep the time
    they were written, which the leak probes read.

    Raises:
        OutputExists: there is something at `out` already.
        StorageError: a file cannot be read, or written.
        PathEscapes: a path leaves the dataset.
    """
    with new_folder(out, last=dataset.manifest_name) as folder:
        paths = sorted({object_of(confined(str(path))) for path in manifest["path"]})
        written = {entry.key: entry.modified for entry in dataset.storage.entries()}

        def copy(path: str) -> None:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            dataset.storage.copy_to(path, target)
            if path in written:
                os.utime(target, (written[path], written[path]))

        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            list(pool.map(copy, paths))
        write_manifest(folder / dataset.manifest_name, manifest)


@contextlib.contextmanager
def new_folder(out: str, *, last: str) -> Iterator[Path]:
    """Gives a scratch folder that becomes a new folder or S3 prefix when all went well.

    Args:
        out: where it goes; nothing may be there.
        last: the file whose presence says that it is whole.

    Raises:
        OutputExists: there is something at `out` already.
    """
    storage = _empty(out)
    with tempfile.TemporaryDirectory(prefix="steel-training-") as scratch:
        yield Path(scratch)
        storage.put_folder(Path(scratch), "", last=last)


def write_manifest(path: Path, manifest: pd.DataFrame) -> None:
    """Writes a manifest as CSV or Parquet, as the name says."""
    if path.suffix == ".parquet":
        manifest.to_parquet(path, index=False)
    else:
        manifest.to_csv(path, index=False)


def _empty(out: str) -> Storage:
    storage = open_storage(out)
    if next(iter(storage.entries()), None) is not None:
        raise OutputExists(f"{out} is not empty; nothing was written. Name a new folder, or remove the old one first.")
    return storage


@contextlib.contextmanager
def new_dataset(out: str) -> Iterator[DatasetWriter]:
    """Writes a new dataset at a folder or S3 prefix: all of it, or nothing when something fails on the way.

    Raises:
        OutputExists: there is something at `out` already.
        UsageError: no patch was added.
    """
    with new_folder(out, last="manifest.csv") as folder:
        writer = DatasetWriter(folder)
        yield writer
        if not writer.rows:
            raise UsageError(
                "No patch came out of the ingest; nothing was written. Check the inputs and the patch size."
            )
        write_manifest(folder / "manifest.csv", pd.DataFrame(writer.rows))
