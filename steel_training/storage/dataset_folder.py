"""A dataset's folder, which is untrusted: only regular files inside it are read, up to a size limit.

A link may lead anywhere, a FIFO blocks its reader, a device never ends. So each component of a path is opened by itself
without following links, and the opened file is checked before it is read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from steel_training.storage.folder import FolderStorage
from steel_training.storage.interface import Entry, ObjectNotFound, PathEscapes, StorageError

LARGEST_FILE = 64 * 2**20
"""Bytes of a patch. Patches are small by contract; a larger file is a mistake or an attack on memory."""
LARGEST_MANIFEST = 2**30
"""Bytes of a manifest: some ten million rows."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FileRefused(StorageError):
    """A file of a dataset is not read: it is not a regular file, or too large."""


def largest(key: str) -> int:
    """Return the most bytes that are read of a dataset's file."""
    return LARGEST_MANIFEST if key.startswith("manifest.") else LARGEST_FILE


class DatasetFolder(FolderStorage):
    """The files of a dataset below a folder. Links within it are followed, others are refused."""

    def read(self, key: str) -> bytes:
        """Return a file's bytes.

        Raises:
            ObjectNotFound: there is none.
            PathEscapes: the path, or a link on it, leads out of the dataset.
            FileRefused: it is not a regular file, or too large.
        """
        most = largest(key)
        with self.open_file(key) as file, self._explained(key, "read"):
            data = file.read(most + 1)  # a file may grow while it is read
        if len(data) > most:
            raise FileRefused(f"{self.location(key)} is too large; at most {most:,} bytes are read.")
        return data

    def md5(self, key: str) -> str:
        with self.open_file(key) as file, self._explained(key, "read"):
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()

    def copy_to(self, key: str, target: Path) -> None:
        with self.open_file(key) as file, target.open("wb") as copy, self._explained(key, "read"):
            shutil.copyfileobj(file, copy)

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        return (entry for entry in super().entries(prefix) if self._stays(entry.key))

    def files(self, prefix: str = "") -> list[Entry]:
        return [entry for entry in super().files(prefix) if self._stays(entry.key)]

    def entry(self, key: str) -> Entry:
        self._steps(key)
        return super().entry(key)

    def open_file(self, key: str) -> BufferedReader:
        """Open a regular file of the dataset without blocking.

        Raises:
            ObjectNotFound: there is none.
            PathEscapes: the path, or a link on it, leads out of the dataset.
            FileRefused: it is not a regular file.
        """
        *folders, name = self._steps(key)
        with self._explained(key, "read"):
            try:
                descriptor = os.open(os.path.realpath(self.root), _FOLDER)
                try:
                    for folder in folders:
                        below = os.open(folder, _FOLDER, dir_fd=descriptor)
                        os.close(descriptor)
                        descriptor = below
                    opened = os.open(name, _FILE, dir_fd=descriptor)
                finally:
                    os.close(descriptor)
            except _ABSENT:
                raise ObjectNotFound(f"{self.location(key)} does not exist.") from None
        kind = os.fstat(opened).st_mode
        if stat.S_ISREG(kind):
            return os.fdopen(opened, "rb")
        os.close(opened)
        if stat.S_ISDIR(kind):
            raise ObjectNotFound(f"{self.location(key)} does not exist.")
        raise FileRefused(
            f"{self.location(key)} is not a regular file ({stat.filemode(kind)}); a dataset may hold only regular files."
        )

    def _steps(self, key: str) -> tuple[str, ...]:
        """Return the path components from the dataset's folder to a file, links resolved.

        Raises:
            PathEscapes: a link leads out.
        """
        top, real = Path(os.path.realpath(self.root)), Path(os.path.realpath(self.path(key)))
        if not real.is_relative_to(top):
            raise PathEscapes(
                f"{self.location(key)} is, or is reached through, a link that leads out of the dataset; it is not read. Put the file "
                "itself there."
            )
        return real.relative_to(top).parts or (".",)

    def _stays(self, key: str) -> bool:
        if not self.path(key).is_symlink():
            return True
        try:
            self._steps(key)
        except PathEscapes:
            return False
        return True
