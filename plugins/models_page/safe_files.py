"""Reads files of the store for the models page: below `runs/` and `models/`, and never through a symbolic link.

`confined` refuses names that lead outside. In a folder a symbolic link could do so too; every component of a path is therefore
opened relative to the one before it, and links are refused, so that none can be swapped in between check and read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from steel_training.errors import SteelTrainingError
from steel_training.storage import FolderStorage, ObjectNotFound, Storage, StorageError, confined

SHOWN = ("runs", "models")
LARGEST = 256 * 1024 * 1024
_NOT_THERE = {errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG}


class NotServed(SteelTrainingError):
    """The page does not serve this key."""


class TooLarge(SteelTrainingError):
    """The file is too large for the API server."""


@dataclass(frozen=True)
class Folder:
    """The content directly below a key.

    Attributes:
        key: of the folder.
        folders: names, sorted.
        files: (name, bytes), sorted, index pages first.
    """

    key: str
    folders: list[str]
    files: list[tuple[str, int]]


def checked(key: str) -> str:
    """Return a key in normal form.

    Raises:
        PathEscapes: it leads outside the store.
        NotServed: it is not below `runs/` or `models/`, or is an internal file of the storage.
    """
    clean = confined(key)
    names = clean.split("/")
    if names[0] not in SHOWN or any(name.startswith(".") for name in names):
        raise NotServed(f"{key!r} is not served here; expected a file below {' or '.join(f'{top}/' for top in SHOWN)}.")
    return clean


def read(store: Storage, key: str) -> bytes:
    """Return a file's bytes.

    Raises:
        PathEscapes, NotServed: the key is refused.
        ObjectNotFound: there is no file.
        TooLarge: it is above `LARGEST`.
    """
    clean = checked(key)
    if not isinstance(store, FolderStorage):
        _must_fit(clean, store.entry(clean).size)
        return store.read(clean)
    with _opened(store, clean) as handle:
        _must_fit(clean, _size_of(handle, clean))
        with open(handle, "rb", closefd=False) as file:
            return file.read()


def size(store: Storage, key: str) -> int:
    """Return a file's size in bytes.

    Raises:
        PathEscapes, NotServed: the key is refused.
        ObjectNotFound: there is no file.
    """
    clean = checked(key)
    if not isinstance(store, FolderStorage):
        return store.entry(clean).size
    with _opened(store, clean) as handle:
        return _size_of(handle, clean)


def is_folder(store: Storage, key: str) -> bool:
    """Return whether there is anything below a key."""
    found = listed(store, key)
    return bool(found.folders or found.files)


def listed(store: Storage, key: str) -> Folder:
    """Return the content directly below a key; empty where there is no folder."""
    clean = checked(key)
    if isinstance(store, FolderStorage):
        return _of_folder(store, clean)
    below = [(entry.key.rsplit("/", 1)[-1], entry.size) for entry in store.files(clean)]
    return Folder(clean, store.folders(clean), sorted(below, key=_first_pages_first))


def _of_folder(store: FolderStorage, key: str) -> Folder:
    folders, files = [], []
    try:
        with _opened(store, key) as handle, os.scandir(handle) as found:
            for entry in found:
                if entry.name.startswith(".") or entry.is_symlink():
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    files.append((entry.name, entry.stat(follow_symlinks=False).st_size))
    except (ObjectNotFound, NotADirectoryError):
        return Folder(key, [], [])
    return Folder(key, sorted(folders), sorted(files, key=_first_pages_first))


@contextlib.contextmanager
def _opened(store: FolderStorage, key: str) -> Iterator[int]:
    """Open a file or folder component by component, refusing links; yield its descriptor."""
    handles = []
    try:
        handles.append(os.open(store.root, os.O_RDONLY | os.O_DIRECTORY))
        for name in key.split("/"):
            # Without O_NONBLOCK the open of a named pipe would wait for its writer.
            handles.append(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handles[-1]))
        yield handles[-1]
    except FileNotFoundError:
        raise ObjectNotFound(f"{key} does not exist in the store.") from None
    except OSError as error:
        if error.errno in _NOT_THERE:
            raise ObjectNotFound(f"{key} does not exist in the store.") from None
        raise StorageError(f"{key} cannot be read: {error.strerror or error}.") from error
    finally:
        for handle in handles:
            os.close(handle)


def _size_of(handle: int, key: str) -> int:
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise ObjectNotFound(f"{key} is not a file.")
    return status.st_size


def _must_fit(key: str, size: int) -> None:
    if size > LARGEST:
        raise TooLarge(
            f"{key} has {size / 1e6:,.0f} MB; at most {LARGEST / 1e6:,.0f} MB are served here. Read it from the store."
        )


def _first_pages_first(file: tuple[str, int]) -> tuple[bool, str]:
    return file[0] not in ("index.html", "report.html"), file[0]
