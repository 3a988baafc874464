"""Hashes of the files that a stage leaves, by which later stages see that they are still the ones it wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from steel_training.errors import SteelTrainingError
from steel_training.storage.file_hashes import file_hashes
from steel_training.storage.recorded import ADVICE

FILES = "files.json"


class StageFilesChanged(SteelTrainingError):
    """A file of a finished stage is not the one that the stage wrote: damaged, replaced, removed or added."""


def record_files(folder: Path) -> str:
    """Write the SHA-256 of every file of a folder to `files.json` in it, and return that of `files.json`.

    It is part of the stage's result, so that the result stands for all of its files, however many.
    """
    content = json.dumps(file_hashes(folder), indent=0, sort_keys=True).encode()
    (folder / FILES).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def require_recorded(folder: Path, recorded: str, *, besides: str, where: str) -> None:
    """Check that a folder holds the files that were recorded, and no others.

    Args:
        folder: local.
        recorded: SHA-256 of `files.json`, as the result has it.
        besides: the file that was written after them.
        where: location of the folder, for the message.

    Raises:
        StageFilesChanged: a file is missing, has other bytes, or was added.
    """
    path = folder / FILES
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != recorded:
        found = f"{FILES} {'has other hashes than it was written with' if content else 'is missing'}"
    else:
        found = _difference(json.loads(content), file_hashes(folder, without=(FILES, besides)))
    if found:
        raise StageFilesChanged(
            f"{where}: {found}. The stage did not leave it so; it was damaged or changed, and is not used. {ADVICE}"
        )


def _difference(written: Mapping[str, str], found: Mapping[str, str]) -> str:
    for name in sorted({*written, *found}):
        if name not in found:
            return f"{name} is missing"
        if name not in written:
            return f"{name} was added"
        if written[name] != found[name]:
            return f"{name} has SHA-256 {found[name][:12]}…, written was {written[name][:12]}…"
    return ""
