"""Dated versions of a dataset: which there are, and which of them a watcher has not seen as they are now.

Read by whoever only waits for data, so that nothing is imported here that reads patches.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date

from steel_training.storage import ObjectNotFound, Storage, open_storage

MANIFESTS = ("manifest.parquet", "manifest.csv")

_DATED = re.compile(r"\d{4}-\d{2}-\d{2}")
_ASKED_AT_ONCE = 16


def is_date(name: str) -> bool:
    """Says whether a folder's name is that of a dated version, `YYYY-MM-DD`."""
    if not _DATED.fullmatch(name):
        return False
    with contextlib.suppress(ValueError):
        date.fromisoformat(name)
        return True
    return False


def manifest_name(version: Storage) -> str | None:
    """Returns the file name of a version's manifest; `None` where there is none (yet)."""
    return next((name for name in MANIFESTS if version.exists(name)), None)


def dated_versions(uri: str) -> dict[str, str]:
    """Returns the dated versions below a dataset, each with a tag that changes when its manifest does.

    A version without a manifest is still being written and is not there yet: every writer of ours writes it last.
    A relabelled version has a new manifest, so it counts as changed.

    Args:
        uri: folder or `s3://` prefix that holds `YYYY-MM-DD/`.

    Raises:
        StorageError: it cannot be reached.
    """
    storage = open_storage(uri)
    folders = [name for name in storage.folders() if is_date(name)]

    def tag(folder: str) -> str | None:
        for name in MANIFESTS:
            with contextlib.suppress(ObjectNotFound):
                return storage.entry(f"{folder}/{name}").etag
        return None

    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        tags = list(pool.map(tag, folders))
    return {folder: found for folder, found in zip(folders, tags, strict=True) if found is not None}


def unseen(now: Mapping[str, str], before: Mapping[str, str], seen: Mapping[str, str]) -> list[str]:
    """Returns the versions to tell of, oldest first: new or changed since `seen`, and at rest since the look `before`.

    Args:
        now: of this look, from `dated_versions`.
        before: of the look before; a manifest that changed in between may still be in the hands of its writer.
        seen: those told of, as they were.
    """
    return sorted(name for name, tag in now.items() if seen.get(name) != tag and before.get(name) == tag)
