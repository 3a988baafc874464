"""Storage: a folder or an S3 prefix, behind one small interface.

The rest of the system relies on two guarantees:

- a reader sees a complete object or none, and a folder whose last file exists is complete;
- `write` can be conditional (`if_absent`, `if_match`), which moves the champion pointer.
"""

from __future__ import annotations

import os
from pathlib import Path

from steel_training.errors import UsageError
from steel_training.storage.dataset_folder import FileRefused
from steel_training.storage.folder import FolderStorage
from steel_training.storage.interface import (
    ConditionFailed,
    Entry,
    ObjectNotFound,
    OutcomeUnknown,
    PathEscapes,
    Storage,
    StorageError,
    StorageUnavailable,
    confined,
)
from steel_training.storage.packed import PackDamaged, PackedStorage, object_of
from steel_training.storage.s3 import RequestLimits, S3Storage

__all__ = [
    "ConditionFailed",
    "Entry",
    "FileRefused",
    "FolderStorage",
    "ObjectNotFound",
    "OutcomeUnknown",
    "PackDamaged",
    "PackedStorage",
    "PathEscapes",
    "RequestLimits",
    "S3Storage",
    "Storage",
    "StorageError",
    "StorageUnavailable",
    "confined",
    "object_of",
    "open_dataset",
    "open_storage",
]


def open_dataset(uri: str | os.PathLike[str], limits: RequestLimits | None = None) -> Storage:
    """Open a dataset to read its patches, whether they are single files or packed (see `packed`).

    Args:
        uri: of the dataset.
        limits: of a request to S3, as in `open_storage`.

    Raises:
        UsageError: see `open_storage`.
    """
    return PackedStorage(open_storage(uri, limits))


def open_storage(uri: str | os.PathLike[str], limits: RequestLimits | None = None) -> Storage:
    """Open a folder or `s3://bucket/prefix`. Nothing is created or contacted before the first use.

    Args:
        uri: of the storage.
        limits: of a request to S3; by default those of a training stage, which waits and retries for minutes.

    Raises:
        UsageError: the URI has a scheme that is neither.
    """
    text = os.fspath(uri)
    if text.startswith("s3://"):
        bucket, _, prefix = text.removeprefix("s3://").partition("/")
        if not bucket:
            raise UsageError(f"'{text}' has no bucket; expected s3://bucket/prefix.")
        return S3Storage(bucket, prefix.strip("/"), limits)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" in text:
        raise UsageError(f"'{text}' cannot be opened; expected a folder or s3://bucket/prefix.")
    return FolderStorage(Path(text).absolute())
