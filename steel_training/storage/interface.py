"""The interface of every storage, and its errors."""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from steel_training.errors import SteelTrainingError, UsageError
from steel_training.storage.json_types import Json

# A NUL ends a path; a newline in a name could forge log lines.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class StorageError(SteelTrainingError):
    """The storage cannot be reached or refused the request."""


class StorageUnavailable(StorageError):
    """The storage cannot be reached, does not answer in time, or is overloaded; a later request may succeed."""


class OutcomeUnknown(StorageUnavailable):
    """A write may or may not have been made: its response was lost, and what is stored cannot be read now."""


class ObjectNotFound(StorageError):
    """There is no object at this key."""


class ConditionFailed(StorageError):
    """A conditional write did not find what it expected; nothing was written."""


class PathEscapes(UsageError):
    """A key or path points outside the folder that it must stay in."""


def confined(key: str) -> str:
    """Return a key in normal form: parts joined by single slashes, without `.`; empty for the top itself.

    Raises:
        PathEscapes: it is absolute or leads outside (`..`), or holds a control character or a backslash.
    """
    parts = PurePosixPath(key).parts
    if key.startswith("/") or ".." in parts or "\\" in key or _CONTROL.search(key):
        raise PathEscapes(f"The path {key!r} leaves its folder; expected a relative path without '..'.")
    return "/".join(parts)


@dataclass(frozen=True)
class Entry:
    """One stored object: key relative to the storage, size in bytes, and a tag that changes with its content.

    On S3 the tag is the ETag; in a folder it is made of time and size, so that listing reads no file. `modified` is when it was
    written, seconds since 1970: good only for sorting by likely age, as a copied store has the times of the copy.
    """

    key: str
    size: int
    etag: str
    modified: float = 0.0


class Storage(ABC):
    """A flat space of objects under one URI. Keys are relative POSIX paths.

    Every method raises `StorageError` when the storage cannot be reached or refuses, and `PathEscapes` for a key that
    leads outside.
    """

    uri: str
    is_local = False
    """Whether reading needs no network service."""

    @abstractmethod
    def read(self, key: str) -> bytes:
        """Return the object's bytes.

        Raises:
            ObjectNotFound: there is none.
        """

    @abstractmethod
    def read_tagged(self, key: str) -> tuple[bytes, str]:
        """Return the object's bytes and the tag to give to `write(if_match=…)`.

        Raises:
            ObjectNotFound: there is none.
        """

    @abstractmethod
    def write(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        """Write the object atomically and return its tag.

        Raises:
            ConditionFailed: `if_absent` and there is one, or `if_match` and the tag is another or there is none.
        """

    def exists(self, key: str) -> bool:
        """Return whether there is an object at exactly this key."""
        try:
            self.entry(key)
        except ObjectNotFound:
            return False
        return True

    @abstractmethod
    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the objects below a prefix (a folder), in unspecified order; none where there is no such folder."""

    def contents(self) -> Iterator[Entry]:
        """Yield everything that can be read: the objects, with the members of ZIP files instead of the files."""
        return self.entries()

    @abstractmethod
    def files(self, prefix: str = "") -> list[Entry]:
        """Return the objects directly below a prefix, sorted by key; none where there is no such folder."""

    @abstractmethod
    def entry(self, key: str) -> Entry:
        """Return the object's entry as in a listing, without reading it.

        Raises:
            ObjectNotFound: there is none.
        """

    @abstractmethod
    def folders(self, prefix: str = "") -> list[str]:
        """Return the names of the folders directly below a prefix, sorted."""

    @abstractmethod
    def put_folder(self, local: Path, prefix: str, *, last: str, if_absent: bool = False) -> None:
        """Replace the folder at `prefix` by a local one; `last` is the file whose presence marks it as complete.

        Args:
            local: the folder to copy.
            prefix: of the target folder.
            last: file of it that is written last.
            if_absent: only where there is no complete folder; of several concurrent writers, one succeeds. A partial folder of
                another writer is replaced.

        Raises:
            ConditionFailed: `if_absent`, and there is a complete one, or another writer is writing other content.
        """

    @abstractmethod
    def remove_folder(self, prefix: str, *, first: str) -> None:
        """Remove the folder at `prefix` and all below it; `first` is the file whose presence marks it as complete.

        That file is removed first. A missing folder is not an error; repeat an interrupted removal to finish it.
        """

    @abstractmethod
    def local_folder(self, prefix: str) -> AbstractContextManager[Path]:
        """Yield the folder as a local path, downloaded if needed. Read only: changes are not stored.

        Raises:
            ObjectNotFound: there is no such folder.
        """

    def md5(self, key: str) -> str:
        """Return the MD5 of an object's bytes, as S3 has it in a listing.

        Raises:
            ObjectNotFound: there is none.
        """
        return hashlib.md5(self.read(key), usedforsecurity=False).hexdigest()

    def copy_to(self, key: str, target: Path) -> None:
        """Copy an object of any size to a file.

        Raises:
            ObjectNotFound: there is none.
        """
        target.write_bytes(self.read(key))

    def read_json(self, key: str) -> Any:
        """Return the object parsed as JSON."""
        return json.loads(self.read(key))

    def write_json(
        self, key: str, value: Json | Mapping[str, object], *, if_absent: bool = False, if_match: str | None = None
    ) -> str:
        """Write a value as JSON. NaN and infinities are refused: a reader in another language could not parse them."""
        text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
        return self.write(key, text.encode(), if_absent=if_absent, if_match=if_match)

    def location(self, key: str) -> str:
        """Return the full address of a key, for messages and links."""
        return f"{self.uri.rstrip('/')}/{key}" if key else self.uri
