"""Patches packed into ZIP files: few large objects instead of many small ones, which network disks and S3 read slowly.

`strips-000.zip/patches/p1.png` is the member `patches/p1.png` of the object `strips-000.zip`. ZIP has its directory at its
end, so that a member is found without reading the others, and any file manager can open it. A ZIP file on S3 is downloaded
once and kept on the scratch disk of the machine, for all stages and later runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from steel_training.storage.dataset_bucket import DatasetBucket
from steel_training.storage.dataset_folder import LARGEST_FILE, DatasetFolder
from steel_training.storage.folder import FolderStorage
from steel_training.storage.interface import Entry, ObjectNotFound, Storage, StorageError, confined
from steel_training.storage.s3 import S3Storage
from steel_training.storage.scratch import free_space, remove_unused, scratch_folder, sole_writer

SUFFIX = ".zip"
PATCHES_PER_FILE = 4096
"""Some tens of MB of patches of 64 pixels: large enough to be read fast, small enough to download again."""
LARGEST_MEMBER = LARGEST_FILE
"""Bytes of a packed patch; a directory that lists more is a mistake or an attack on memory."""

_OPEN_AT_ONCE = 64


class PackDamaged(StorageError):
    """A ZIP file, or a member of it, is damaged."""


def object_of(key: str) -> str:
    """Return the object that holds a key: the ZIP file of a member, or the key itself."""
    first, slash, rest = key.partition("/")
    return first if slash and rest and first.endswith(SUFFIX) else key


class PackedStorage(Storage):
    """A dataset's storage, read only, whose keys may be members of ZIP files at its top; other keys are read as usual."""

    def __init__(self, inner: Storage) -> None:
        """Open nothing yet; `inner` holds the objects."""
        if isinstance(inner, FolderStorage):
            self.inner: Storage = DatasetFolder(inner.root)
        elif isinstance(inner, S3Storage):
            self.inner = DatasetBucket(inner.bucket, inner.prefix, inner.limits)
        else:
            self.inner = inner
        self.uri, self.is_local = inner.uri, inner.is_local
        self._open: OrderedDict[str, zipfile.ZipFile] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, key: str) -> bytes:
        shard, member = self._split_key(key)
        return self.inner.read(shard) if member is None else self._member(shard, member)

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        data = self.read(key)
        return data, self.entry(key).etag

    def md5(self, key: str) -> str:
        shard, member = self._split_key(key)
        return self.inner.md5(shard) if member is None else super().md5(key)

    def copy_to(self, key: str, target: Path) -> None:
        shard, member = self._split_key(key)
        if member is None:
            self.inner.copy_to(shard, target)
        else:
            super().copy_to(key, target)

    def entry(self, key: str) -> Entry:
        shard, member = self._split_key(key)
        if member is None:
            return self.inner.entry(shard)
        return _entry(shard, self.inner.entry(shard), self._found(shard, member))

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        return self.inner.entries(prefix)

    def contents(self) -> Iterator[Entry]:
        for entry in self.inner.entries():
            if "/" in entry.key or not entry.key.endswith(SUFFIX):
                yield entry
                continue
            with contextlib.suppress(PackDamaged):  # reported when a member is read
                infos = self._file(entry.key).infolist()
                yield from (_entry(entry.key, entry, info) for info in infos if not info.is_dir())

    def files(self, prefix: str = "") -> list[Entry]:
        return self.inner.files(prefix)

    def folders(self, prefix: str = "") -> list[str]:
        return self.inner.folders(prefix)

    def local_folder(self, prefix: str) -> AbstractContextManager[Path]:
        return self.inner.local_folder(prefix)

    def write(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        raise self._read_only()

    def put_folder(self, local: Path, prefix: str, *, last: str, if_absent: bool = False) -> None:
        raise self._read_only()

    def remove_folder(self, prefix: str, *, first: str) -> None:
        raise self._read_only()

    def _read_only(self) -> StorageError:
        return StorageError(f"{self.uri} is a dataset and read only; write a new one beside it.")

    def _split_key(self, key: str) -> tuple[str, str | None]:
        key = confined(key)
        shard = object_of(key)
        return (key, None) if shard == key else (shard, key[len(shard) + 1 :])

    def _found(self, shard: str, member: str) -> zipfile.ZipInfo:
        try:
            return self._file(shard).getinfo(member)
        except KeyError:
            raise ObjectNotFound(f"{self.location(shard)} holds no {member}.") from None

    def _member(self, shard: str, member: str) -> bytes:
        info = self._found(shard, member)
        if info.file_size > LARGEST_MEMBER:
            raise PackDamaged(
                f"{self.location(shard)}: {member} has {info.file_size:,} bytes; at most {LARGEST_MEMBER:,} are read."
            )
        try:
            return self._file(shard).read(info)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
            raise PackDamaged(f"{self.location(shard)}: {member} cannot be read: {error}.") from error

    def _file(self, shard: str) -> zipfile.ZipFile:
        with self._lock:
            if shard in self._open:
                self._open.move_to_end(shard)
                return self._open[shard]
            file = self._opened(shard)
            self._open[shard] = file
            # A reader keeps a reference to a file that is evicted; it is closed with its last reader.
            while len(self._open) > _OPEN_AT_ONCE:
                self._open.popitem(last=False)
            return file

    def _opened(self, shard: str) -> zipfile.ZipFile:
        try:
            if isinstance(self.inner, DatasetFolder):
                return zipfile.ZipFile(self.inner.open_file(shard))
            return self._copied(shard)
        except FileNotFoundError:
            raise ObjectNotFound(f"{self.location(shard)} does not exist.") from None
        except zipfile.BadZipFile as error:
            raise PackDamaged(
                f"{self.location(shard)} cannot be read as a ZIP file: {error}. Pack the dataset again: steel-training pack."
            ) from error
        except OSError as error:
            raise StorageError(f"{self.location(shard)} cannot be read: {error.strerror or error}.") from error

    def _copied(self, shard: str) -> zipfile.ZipFile:
        """Open a copy on the scratch disk; of several processes that need it, one downloads it."""
        folder = scratch_folder() / "shards"
        entry = self.inner.entry(shard)
        name = hashlib.sha256(f"{self.location(shard)}\0{entry.etag}".encode()).hexdigest()[:32]
        copy = folder / name
        with sole_writer(copy):
            if copy.exists():
                copy.touch()
            else:
                remove_unused(folder)
                free_space(folder, entry.size, keeping=copy)
                staged = copy.with_suffix(".part")
                self.inner.copy_to(shard, staged)
                staged.replace(copy)
            return zipfile.ZipFile(copy)


def _entry(shard: str, outer: Entry, info: zipfile.ZipInfo) -> Entry:
    try:
        modified = datetime(*info.date_time, tzinfo=UTC).timestamp()
    except ValueError:
        modified = 0.0
    return Entry(f"{shard}/{info.filename}", info.file_size, f"{outer.etag}-{info.CRC:08x}", modified)
