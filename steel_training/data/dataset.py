"""The input contract: a folder or S3 prefix with a manifest and its patches, or one such folder per dated version."""

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

import numpy as np
import pandas as pd

from steel_training.data.columns import CONTRACT_COLUMNS, REQUIRED_COLUMNS, TEXT_COLUMNS
from steel_training.data.ingest_record import INGEST_RECORD
from steel_training.data.tables import read_table
from steel_training.data.unfinished_dataset import Unfinished, unfinished
from steel_training.data.versions import MANIFESTS, is_date, like_a_date, manifest_name, without_manifest
from steel_training.errors import UsageError
from steel_training.storage import PathEscapes, Storage, StorageError, confined, object_of, open_dataset, open_storage
from steel_training.storage.bounded_threads import BoundedThreads

CLEAN, DEFECTIVE = 0, 1

_READ_AT_ONCE = 16
_LISTED = 10


class DatasetNotFound(UsageError):
    """There is no dataset at the URI, or no version as of the date."""


class ManifestUnreadable(UsageError):
    """The manifest exists but cannot be parsed as a table."""


class ManifestsDiffer(UsageError):
    """One version has two manifests that say different things."""


class OutputExists(UsageError):
    """The output location of an ingest is not empty."""


@dataclass(frozen=True)
class Dataset:
    """One version of a dataset: its storage, and its manifest as read (not yet validated).

    Attributes:
        passed_over: folders beside the version that seem to be newer versions, or versions at all, with the reason why they are none.
    """

    storage: Storage
    version: str | None
    manifest: pd.DataFrame
    manifest_name: str
    passed_over: Mapping[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """URI of this version."""
        return self.storage.uri


def find_dataset(uri: str, *, as_of: date | None = None) -> Dataset:
    """Find the dataset version that a run uses, and read its manifest.

    Args:
        uri: folder or S3 prefix, of either one version or several dated versions `YYYY-MM-DD/`.
        as_of: use the newest version not later than this date; `None` uses the newest.

    Raises:
        DatasetNotFound: there is no manifest, or every version is later than the date.
        ManifestUnreadable: the manifest cannot be parsed as a table.
        ManifestsDiffer: there are a CSV and a Parquet manifest, and they differ.
    """
    storage = open_dataset(uri)
    name = manifest_name(storage)
    if name is not None:
        folder = storage.uri.rstrip("/").rpartition("/")[2]
        return Dataset(storage, folder if is_date(folder) else None, _only_manifest(storage, name), name)

    folders = storage.folders()
    versions = [folder for folder in folders if is_date(folder)]
    passed_over = dict.fromkeys(filter(like_a_date, folders), "not a date of the form YYYY-MM-DD")
    eligible = [version for version in versions if as_of is None or version <= as_of.isoformat()]
    for version in reversed(eligible):
        dated = open_dataset(storage.location(version))
        name = manifest_name(dated)
        if name is not None:
            return Dataset(dated, version, _only_manifest(dated, name), name, passed_over)
        passed_over[version] = without_manifest(dated)
    left = f" Passed over: {listed(passed_over)}." if passed_over else ""
    if versions and not eligible:
        raise DatasetNotFound(
            f"{uri} has no version as of {as_of}: the earliest is {versions[0]}. "
            f"Name a later date, or add a version folder of that date.{left}"
        )
    raise DatasetNotFound(
        f"There is no dataset at {uri}: found neither manifest.csv nor manifest.parquet, nor a folder YYYY-MM-DD that holds one. "
        f"Make one with 'steel-training ingest …', or try 'steel-training sample OUT'.{left}"
    )


def listed(passed_over: Mapping[str, str]) -> str:
    """Return folders that were passed over as text, newest first: ten of them, and how many more there are."""
    names = sorted(passed_over, reverse=True)
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(f"{name} ({passed_over[name]})" for name in names[:_LISTED]) + more


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 over the manifest and the MD5 of every file it names; for packed patches, of the pack file.

    MD5 because S3 listings contain it (the ETag), so that no file is read: the same patches have the same fingerprint in a
    folder and on S3. Where the ETag is not an MD5 (multipart uploads, KMS encryption), a copy of the dataset counts as
    changed. Missing and unreadable files are hashed as missing; validation reports them.
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
    """Return the group of every row, string: `group_id` where given, else `source_id`. A group must not straddle splits."""
    source = manifest["source_id"].astype("string")
    if "group_id" not in manifest:
        return source
    group = manifest["group_id"].astype("string")
    return group.where(group.notna() & (group.str.strip() != ""), source)


def _only_manifest(storage: Storage, name: str) -> pd.DataFrame:
    """Read a version's manifest, and hold another one beside it against it."""
    table = _read_manifest(storage, name)
    for other in MANIFESTS[MANIFESTS.index(name) + 1 :]:
        if storage.exists(other):
            difference = _difference(_as_csv(table), _as_csv(_read_manifest(storage, other)))
            if difference is not None:
                raise ManifestsDiffer(
                    f"{storage.uri} has two manifests, {name} and {other}, that differ: {difference}. "
                    "Remove the one that is out of date."
                )
    return table


def _as_csv(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of the contract as text, as in a CSV file, since Parquet has other types."""
    text = {
        name: table[name].astype("string").str.replace(r"\.0+$", "", regex=True).fillna("")
        for name in CONTRACT_COLUMNS
        if name in table
    }
    return pd.DataFrame(text).reset_index(drop=True)


def _difference(one: pd.DataFrame, other: pd.DataFrame) -> str | None:
    columns = [str(name) for name in one]
    if set(columns) != set(map(str, other)):
        return f"only one has the column {', '.join(sorted(set(columns) ^ set(map(str, other))))}"
    if len(one) != len(other):
        return f"{len(one):,} rows and {len(other):,}"
    if "patch_id" in columns:
        one, other = (table.sort_values(columns, ignore_index=True) for table in (one, other))
    unlike = (one != other[columns]).to_numpy(bool)
    rows = np.flatnonzero(unlike.any(axis=1))
    if not len(rows):
        return None
    where = int(rows[0])
    column = columns[int(np.argmax(unlike[where]))]
    named = one["patch_id"].iloc[where] if "patch_id" in columns else f"row {where + 1}"
    values = (table[column].iloc[where] for table in (one, other))
    return f"{len(rows):,} of {len(one):,} rows, the first at {named}: {column} is {' and '.join(map(repr, values))}"


def _read_manifest(storage: Storage, name: str) -> pd.DataFrame:
    data = storage.read(name)
    try:
        if name.endswith(".parquet"):
            table = pd.read_parquet(io.BytesIO(data))
        elif not data.strip():
            table = pd.DataFrame(columns=list(REQUIRED_COLUMNS))
        else:
            as_text = dict.fromkeys(TEXT_COLUMNS, "string")
            table = read_table(data, CONTRACT_COLUMNS, dtype=as_text, keep_default_na=False, na_values=[""])
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise ManifestUnreadable(
            f"{storage.location(name)} cannot be read as a table: {error}. "
            f"Expected columns {', '.join(REQUIRED_COLUMNS)} and one row per patch."
        ) from None
    for column in TEXT_COLUMNS:
        if column in table:
            table[column] = table[column].astype("string")
    if "path" in table:
        # As Windows writes it; no path of the contract holds a backslash otherwise.
        table["path"] = table["path"].str.replace("\\", "/")
    return table


@dataclass
class DatasetWriter:
    """Collects the patches of a new dataset; `new_dataset` publishes them in one step at the end."""

    work: Unfinished
    encoders: BoundedThreads
    rows: list[dict[str, str | int]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the dataset is put together."""
        return self.work.folder

    def add(
        self,
        patch_id: str,
        pixels: np.ndarray,
        *,
        label: int,
        source_id: str,
        subfolder: str = "patches",
        metadata: Mapping[str, str | int] | None = None,
    ) -> None:
        """Write one patch as PNG and add its manifest row.

        Args:
            patch_id: unique; used as the file name.
            pixels: uint8, (height, width) or (height, width, 3); encoded in another thread, so not to be changed afterwards.
            label: 0 clean, 1 defective.
            source_id: the source image that the patch was cut from.
            subfolder: folder of the file below the dataset.
            metadata: further columns, such as `group_id`, `x`, `y`, `defect_type`.
        """
        path = confined(f"{subfolder}/{patch_id}.png")
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self.encoders.run(self.work.write, pixels, target)
        self.rows.append(
            {"patch_id": patch_id, "path": path, "label": int(label), "source_id": source_id, **(metadata or {})}
        )


def new_copy(dataset: Dataset, manifest: pd.DataFrame, out: str) -> None:
    """Write a dataset with another manifest and the same files, atomically: all of it, or nothing on failure.

    Files are copied, not linked, so that later changes to one dataset do not affect the other. In a folder they keep their
    modification times, which the leak probes use.

    Raises:
        OutputExists: `out` is not empty.
        StorageError: a file cannot be read or written.
        PathEscapes: a path points outside the dataset.
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
            list(pool.map(copy, [*paths, *ingest_record_of(dataset)]))
        write_manifest(folder / dataset.manifest_name, manifest)


def ingest_record_of(dataset: Dataset) -> list[str]:
    """Return the key of the record of its ingest, which copies of a dataset keep; nothing where it has none."""
    return [INGEST_RECORD] if dataset.storage.exists(INGEST_RECORD) else []


@contextlib.contextmanager
def new_folder(out: str, *, last: str) -> Iterator[Path]:
    """Yield a scratch folder that is moved to a new folder or S3 prefix if the block succeeds.

    Args:
        out: destination; must be empty.
        last: the file to write last; its presence marks the folder as complete.

    Raises:
        OutputExists: `out` is not empty.
    """
    storage = _empty(out)
    with tempfile.TemporaryDirectory(prefix="steel-training-") as scratch:
        yield Path(scratch)
        storage.put_folder(Path(scratch), "", last=last)


def write_manifest(path: Path, manifest: pd.DataFrame) -> None:
    """Write a manifest as CSV or Parquet, depending on the suffix of `path`."""
    if path.suffix == ".parquet":
        manifest.to_parquet(path, index=False)
    else:
        manifest.to_csv(path, index=False)


def _empty(out: str, *, but_for_an_upload: bool = False) -> Storage:
    storage = open_storage(out)
    if next(iter(storage.entries()), None) is not None and not (but_for_an_upload and not manifest_name(storage)):
        raise OutputExists(f"{out} is not empty; nothing was written. Name a new folder, or remove the old one first.")
    return storage


@contextlib.contextmanager
def new_dataset(out: str) -> Iterator[DatasetWriter]:
    """Write a new dataset at a folder or S3 prefix, atomically: all of it, or nothing on failure.

    If the process is killed and the same is done again, patches of the same pixels are not encoded again (`unfinished_dataset`), and what was
    uploaded is not uploaded again.

    Raises:
        OutputExists: `out` is not empty.
        UsageError: no patch was added.
    """
    with unfinished(out) as work:
        storage = _empty(out, but_for_an_upload=work.was_uploading)
        with BoundedThreads(len(os.sched_getaffinity(0))) as encoders:
            writer = DatasetWriter(work, encoders)
            yield writer
        if not writer.rows:
            raise UsageError(
                "No patch came out of the ingest; nothing was written. Check the inputs and the patch size."
            )
        write_manifest(work.folder / "manifest.csv", pd.DataFrame(writer.rows))
        work.begin_upload()
        storage.put_folder(work.folder, "", last="manifest.csv")
