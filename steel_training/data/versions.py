"""Dated versions of a dataset: listing them, and finding those that are new or changed.

Imported by sensors that only wait for data, so this module imports nothing that reads patches.
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
# 2026-3-1, 20260301, 2026_03_01-relabelled, 01.03.2026, 2026-02-30
_LIKE_A_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d(?:\d{4}|([-_. ])\d{1,2}\1\d{1,2})|\d{1,2}([-_. ])\d{1,2}\2(?:19|20)\d\d)(?!\d)"
)
_ASKED_AT_ONCE = 16


def is_date(name: str) -> bool:
    """Return whether a folder name is that of a dated version, `YYYY-MM-DD`."""
    if not _DATED.fullmatch(name):
        return False
    with contextlib.suppress(ValueError):
        date.fromisoformat(name)
        return True
    return False


def like_a_date(name: str) -> bool:
    """Return whether a folder name seems to be meant as a date, and is none of a dated version."""
    return not is_date(name) and _LIKE_A_DATE.search(name) is not None


def without_manifest(version: Storage) -> str:
    """Return why a dated version without a manifest is none, as text."""
    return "no manifest yet" if next(iter(version.entries()), None) else "empty"


def manifest_name(version: Storage) -> str | None:
    """Return the file name of a version's manifest; `None` if there is none (yet)."""
    return next((name for name in MANIFESTS if version.exists(name)), None)


def dated_versions(uri: str) -> dict[str, str]:
    """Return the dated versions of a dataset, each with a tag that changes when its manifest does.

    A version without a manifest is still being written and is left out: all our writers write the manifest last.
    A relabelled version has a new manifest, so it counts as changed.

    Args:
        uri: folder or `s3://` prefix that contains `YYYY-MM-DD/`.

    Raises:
        StorageError: the storage cannot be reached.
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
    """Return the versions to report, oldest first: new or changed since `seen`, and unchanged since the previous poll.

    Args:
        now: tags of this poll, from `dated_versions`.
        before: tags of the previous poll; a manifest that changed in between may still be written to.
        seen: tags of the versions that were already reported.
    """
    return sorted(name for name, tag in now.items() if seen.get(name) != tag and before.get(name) == tag)
