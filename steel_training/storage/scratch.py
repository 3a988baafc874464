"""The scratch disk of a machine: location and size limit of its caches, and least-recently-used eviction.

A cache is a folder of entries (files or folders), each with a lock beside it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steel_training.environment import Environment, VariableInvalid
from steel_training.errors import SteelTrainingError

log = logging.getLogger(__name__)

KEPT_DAYS = 14
"""Entries unused for longer are removed. A process that still maps one keeps its pages."""

_GB, _MB = 1e9, 1e6
_FULL = {errno.ENOSPC, errno.EDQUOT}
_LOCK = ".lock"


class ScratchFull(SteelTrainingError):
    """The scratch folder has too little space."""


@contextmanager
def scratch_for(work: str, needed: int) -> Iterator[Path]:
    """Yield an empty folder for temporary files (below `TMPDIR`), which is removed afterwards.

    Args:
        work: what needs it, for the message.
        needed: bytes that must be free at the beginning. HDF5 and TensorFlow do not recover from a disk that fills up under them.

    Raises:
        ScratchFull: less is free, or the disk was full when the work failed.
    """
    top = Path(tempfile.gettempdir())
    if (free := shutil.disk_usage(top).free) < needed:
        raise ScratchFull(
            f"{top} has {free / _MB:,.1f} MB free, and {work} needs {needed / _MB:,.0f} MB there. Free space on that disk, or point "
            "TMPDIR at a larger one. Finished stages are kept."
        )
    with tempfile.TemporaryDirectory(prefix=f"steel-training-{work}-", ignore_cleanup_errors=True) as folder:
        try:
            yield Path(folder)
        except SteelTrainingError:
            raise
        except Exception as error:
            free = shutil.disk_usage(top).free
            # A write that failed may have left its room free; the path says whether it was here.
            refused = isinstance(error, OSError) and error.errno in _FULL and folder in str(error)
            if free >= _MB and not refused:
                raise
            raise ScratchFull(
                f"{top} is full ({free / _MB:,.1f} MB free) since {work} is running: {_first_line(error)}. Free space on that disk, or point "
                "TMPDIR at a larger one. Finished stages are kept."
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(".")


def scratch_folder() -> Path:
    """Return the folder for caches of this machine: `STEEL_TRAINING_SCRATCH`, else the user's cache folder."""
    named = Environment.read().scratch
    return named or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "steel-training"


def size_limit(folder: Path) -> float:
    """Return the size limit of a cache in bytes: `STEEL_TRAINING_CACHE_GB`, else half of what its disk would have free without it.

    Raises:
        ScratchFull: the setting is not a positive number.
    """
    try:
        named = Environment.read().cache_gb
    except VariableInvalid as error:
        raise ScratchFull(str(error)) from None
    return (shutil.disk_usage(folder).free + used_bytes(folder)) / 2 if named is None else named * _GB


def used_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder, without files that are removed meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


@contextmanager
def sole_writer(entry: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of an entry; the kernel releases it when the process dies.

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
            log.info("another process is writing the same entry; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield True


def remove_unused(folder: Path) -> None:
    """Remove entries unused for `KEPT_DAYS`."""
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for used, entry in _by_last_use(folder):
        if used < oldest:
            _remove(entry)


def free_space(folder: Path, needed: int, *, keeping: Path) -> None:
    """Remove entries, the least recently used first, until the needed bytes fit.

    Args:
        folder: of the cache.
        needed: bytes.
        keeping: the entry that is written.

    Raises:
        ScratchFull: there is not enough space even without the other entries.
    """
    most, now = size_limit(folder), used_bytes(folder)
    for _, entry in _by_last_use(folder):
        if now + needed <= most:
            return
        if entry != keeping:
            now -= _remove(entry)
    if now + needed > most:
        raise ScratchFull(
            f"{folder} needs {needed / _GB:,.2f} GB more beside the {now / _GB:,.2f} GB in use, and may hold {most / _GB:,.2f} GB. "
            "Point STEEL_TRAINING_SCRATCH at a larger disk, set STEEL_TRAINING_CACHE_GB, or train with fewer augmentations (training.views)."
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
    """Remove an entry unless it is being written; return the freed bytes."""
    with sole_writer(entry, wait=False) as held:
        if not held:
            return 0
        if entry.is_dir():
            size = used_bytes(entry)
            shutil.rmtree(entry, ignore_errors=True)
            return size
        try:
            size = entry.stat().st_size
            entry.unlink()
        except FileNotFoundError:
            return 0
    return size
