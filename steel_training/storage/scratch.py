"""The scratch disk of a machine: where its caches lie, how large each may be, and what makes room: the least recently used.

A cache is a folder with an entry (a file, or a folder) for each thing that is kept, and a lock beside it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steel_training.environment import Environment, VariableInvalid
from steel_training.errors import SteelTrainingError

log = logging.getLogger(__name__)

KEPT_DAYS = 14
"""What nobody used for so long is removed. A process that still maps it keeps its pages until it lets go of them."""

_GB = 1e9
_LOCK = ".lock"


class ScratchFull(SteelTrainingError):
    """The scratch folder has no room for what is needed."""


def scratch_folder() -> Path:
    """Folder for caches of this machine: `STEEL_TRAINING_SCRATCH`, else the user's cache folder."""
    named = Environment.read().scratch
    return named or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "steel-training"


def largest(folder: Path) -> float:
    """How many bytes a cache may take: `STEEL_TRAINING_CACHE_GB`, else half of what its disk would have free without it.

    Raises:
        ScratchFull: the setting is no positive number.
    """
    try:
        named = Environment.read().cache_gb
    except VariableInvalid as error:
        raise ScratchFull(str(error)) from None
    return (shutil.disk_usage(folder).free + taken(folder)) / 2 if named is None else named * _GB


def taken(folder: Path) -> int:
    """Bytes of all files below a folder; of what goes meanwhile, none."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


@contextmanager
def sole_writer(entry: Path, *, wait: bool = True) -> Iterator[bool]:
    """Holds the lock of an entry; the kernel lets go of it when the process dies.

    Yields:
        Whether it is held; False only without `wait`.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    with entry.with_suffix(_LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                yield False
                return
            log.info("another process makes the same; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield True


def forget_unused(folder: Path) -> None:
    """Removes entries that nobody used for `KEPT_DAYS`."""
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for used, entry in _by_last_use(folder):
        if used < oldest:
            _remove(entry)


def make_room(folder: Path, needed: int, *, keeping: Path) -> None:
    """Removes entries, the least recently used first, until so many bytes more may be written.

    Args:
        folder: of the cache.
        needed: bytes.
        keeping: the entry that is written.

    Raises:
        ScratchFull: there is no room even without the other entries.
    """
    most, now = largest(folder), taken(folder)
    for _, entry in _by_last_use(folder):
        if now + needed <= most:
            return
        if entry != keeping:
            now -= _remove(entry)
    if now + needed > most:
        raise ScratchFull(
            f"{folder} needs {needed / _GB:,.2f} GB more beside the {now / _GB:,.2f} GB in use, and may hold {most / _GB:,.2f} GB. "
            "Point STEEL_TRAINING_SCRATCH at a larger disk, set STEEL_TRAINING_CACHE_GB, or train with fewer views (training.views)."
        )


def _by_last_use(folder: Path) -> list[tuple[float, Path]]:
    found = []
    for entry in folder.iterdir():
        try:
            if entry.suffix != _LOCK:
                found.append((entry.stat().st_mtime, entry))
        except FileNotFoundError:  # another process was faster
            continue
    return sorted(found)


def _remove(entry: Path) -> int:
    """Removes an entry unless somebody writes it; returns the bytes that are free now."""
    with sole_writer(entry, wait=False) as held:
        if not held:
            return 0
        if entry.is_dir():
            size = taken(entry)
            shutil.rmtree(entry, ignore_errors=True)
            return size
        try:
            size = entry.stat().st_size
            entry.unlink()
        except FileNotFoundError:
            return 0
    return size
