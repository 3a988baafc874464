"""Objects as files below a folder, on a disk or a network share.

An object appears by `os.replace`, a folder by `rename`; a conditional write compares and writes under a lock. Names that
begin with a dot are internal to this module (locks, unfinished writes) and never listed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from steel_training.storage.bounded_threads import BoundedThreads
from steel_training.storage.interface import ConditionFailed, Entry, ObjectNotFound, Storage, StorageError, confined

_LOCK = ".lock"
_SYNCED_AT_ONCE = 8
_ABSENT = (FileNotFoundError, NotADirectoryError)
_OCCUPIED = {errno.EEXIST, errno.ENOTEMPTY}
# Another file system, one without links, or too many links to one file.
_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK}
_CANNOT_SYNC_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


class FolderStorage(Storage):
    """Objects as files below a folder."""

    is_local = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = str(root)

    def path(self, key: str) -> Path:
        """Return the file of a key."""
        return self.root / confined(key)

    def read(self, key: str) -> bytes:
        with self._explained(key, "read"):
            try:
                return self.path(key).read_bytes()
            except (*_ABSENT, IsADirectoryError):
                raise ObjectNotFound(f"{self.location(key)} does not exist.") from None

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        data = self.read(key)
        return data, _digest(data)

    def write(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        target = self.path(key)
        with self._explained(key, "written"):
            _make_folder(target.parent)
            if not if_absent and if_match is None:
                _replace(target, data)
            else:
                with _locked(target.parent):
                    self._check(key, target, if_absent=if_absent, if_match=if_match)
                    _replace(target, data)
        return _digest(data)

    def _check(self, key: str, target: Path, *, if_absent: bool, if_match: str | None) -> None:
        found = _digest(target.read_bytes()) if target.exists() else None
        if if_absent and found is not None:
            raise ConditionFailed(f"{self.location(key)} exists already; expected none.")
        if if_match is not None and found != if_match:
            raise ConditionFailed(f"{self.location(key)} was changed by another writer; read it again.")

    def exists(self, key: str) -> bool:
        with self._explained(key, "read"):
            return self.path(key).is_file()

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        with self._explained(prefix, "listed"):
            for folder, names, files in os.walk(self.path(prefix), onerror=_raise_unless_absent):
                names[:] = [name for name in names if not name.startswith(".")]
                for name in files:
                    path = Path(folder, name)
                    if name.startswith(".") or not path.is_file():
                        continue
                    yield self._entry(path)

    def files(self, prefix: str = "") -> list[Entry]:
        with self._explained(prefix, "listed"):
            try:
                children = list(self.path(prefix).iterdir())
            except _ABSENT:
                return []
            return [self._entry(c) for c in sorted(children) if c.is_file() and not c.name.startswith(".")]

    def entry(self, key: str) -> Entry:
        with self._explained(key, "read"):
            try:
                if (path := self.path(key)).is_file():
                    return self._entry(path)
            except _ABSENT:
                pass  # removed between the two calls
        raise ObjectNotFound(f"{self.location(key)} does not exist.")

    def _entry(self, path: Path) -> Entry:
        status = path.stat()
        tag = f"{status.st_mtime_ns}-{status.st_size}"
        return Entry(path.relative_to(self.root).as_posix(), status.st_size, tag, status.st_mtime)

    def folders(self, prefix: str = "") -> list[str]:
        with self._explained(prefix, "listed"):
            try:
                children = list(self.path(prefix).iterdir())
            except _ABSENT:
                return []
            return sorted(child.name for child in children if child.is_dir() and not child.name.startswith("."))

    def put_folder(self, local: Path, prefix: str, *, last: str, if_absent: bool = False) -> None:
        self.put_linked_folder(local, prefix, {}, last=last, if_absent=if_absent)

    def put_linked_folder(
        self, local: Path, prefix: str, links: Mapping[str, Path], *, last: str, if_absent: bool = False
    ) -> None:
        """Replace the folder at `prefix` by a local one and by further files, which take no space a second time.

        Args:
            local: the folder to copy.
            prefix: of the target folder.
            links: files by their path in the target folder; regular files, which are linked, or copied where the file system cannot.
            last: file whose presence marks the folder as complete.
            if_absent: only where there is no complete folder.

        Raises:
            ConditionFailed: `if_absent`, and there is a complete one.
        """
        target = self.path(prefix)
        staging = _beside(target)
        try:
            with self._explained(prefix, "written"):
                _make_folder(target.parent)
                _copy_folder(local, staging)
                for key, source in links.items():
                    (staging / key).parent.mkdir(parents=True, exist_ok=True)
                    link_or_copy(source, staging / key)
                # A scratch folder is private to its owner, and so is its copy; stored files are readable by others.
                staging.chmod(0o755)
                for folder, _, _ in os.walk(staging, topdown=False):
                    _sync_folder(Path(folder))
                with _locked(target.parent) if if_absent else contextlib.nullcontext():
                    if if_absent and (target / last).exists():
                        raise ConditionFailed(f"{self.location(prefix)} exists already; expected none.")
                    _move_into_place(staging, target)
                _sync_folder(target.parent)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def remove_folder(self, prefix: str, *, first: str) -> None:
        target = self.path(prefix)
        gone = _beside(target)
        # Nobody finds it under its new name, so that the removal may be slow.
        with self._explained(prefix, "removed"), contextlib.suppress(*_ABSENT):
            target.rename(gone)
            shutil.rmtree(gone)

    @contextlib.contextmanager
    def local_folder(self, prefix: str) -> Iterator[Path]:
        path = self.path(prefix)
        if not path.is_dir():
            raise ObjectNotFound(f"{self.location(prefix)} does not exist.")
        yield path

    @contextlib.contextmanager
    def _explained(self, key: str, done: str) -> Iterator[None]:
        """Turn OS errors into `StorageError`, with the path."""
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self.location(key)} cannot be {done}: {error.strerror or error}.") from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _raise_unless_absent(error: OSError) -> None:
    # os.walk skips a folder that cannot be listed, and a partial listing looks like a complete one.
    if not isinstance(error, _ABSENT):
        raise error


def _beside(target: Path) -> Path:
    return target.parent / f".{target.name}.{uuid.uuid4().hex}"


def _copy_folder(source: Path, target: Path) -> None:
    """Copy a folder, several files at once: a disk syncs many in the time of one."""
    with BoundedThreads(_SYNCED_AT_ONCE) as threads:
        for folder, _, files in os.walk(source, onerror=_raise, followlinks=True):
            copy = target / Path(folder).relative_to(source)
            copy.mkdir()
            for name in files:
                threads.run(_copy_for_good, Path(folder, name), copy / name)


def _raise(error: OSError) -> None:
    raise error


def _copy_for_good(source: Path, target: Path) -> None:
    """Copy a file and sync it, so that it survives a crash once its folder has its final name."""
    shutil.copy2(source, target)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file, or copy it where the file system cannot link, or not once more."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        _copy_for_good(source, target)


def _sync_folder(folder: Path) -> None:
    """Sync the names in a folder, so that they survive a crash; file systems that cannot are accepted."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC_FOLDERS:
            raise
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, synced, so that they survive a crash."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        _sync_folder(each.parent)


def _move_into_place(staging: Path, target: Path) -> None:
    """Rename a folder, replacing another; of several concurrent writers, one complete folder remains."""
    while True:
        try:
            staging.rename(target)
        except OSError as error:
            if error.errno not in _OCCUPIED:
                raise
        else:
            return
        old = _beside(target)
        with contextlib.suppress(FileNotFoundError):
            target.rename(old)
        shutil.rmtree(old, ignore_errors=True)


def _replace(target: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, target)
        _sync_folder(target.parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes of one machine, or of several that share the folder over NFS.

    A file is locked, not the folder: NFS grants an exclusive lock only on what is open for writing.
    """
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
