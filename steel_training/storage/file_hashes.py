"""Hashes of the files of a local folder, by which it is recognised after it was stored."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path


def file_hashes(folder: Path, *, without: Collection[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by its path in it with `/`; no file is read into memory whole.

    Args:
        folder: local.
        without: paths in it that are left out.
    """
    hashes = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in without:
            with path.open("rb") as file:
                hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes
