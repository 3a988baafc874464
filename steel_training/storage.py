"""Where bytes live: a folder or an S3 prefix, behind one small interface.

Two promises matter to the rest of the system:

- a reader sees a whole object or none (`os.replace` in a folder; S3 gives it by itself);
- `write` can be conditional (`if_absent`, `if_match`), which is what the champion pointer is moved by. In a folder the
  comparison and the write happen under a lock on the folder; on S3 they are the `If-None-Match` and `If-Match` headers.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from steel_training.errors import SteelTrainingError, UsageError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PARALLEL_TRANSFERS = 16


class StorageError(SteelTrainingError):
    """The storage cannot be reached or refused the request."""


class ObjectNotFound(StorageError):
    """There is no object at this key."""


class ConditionFailed(StorageError):
    """A conditional write found something else than it was told to expect; nothing was written."""


class PathEscapes(UsageError):
    """A key or path points outside the folder that it must stay in."""


@dataclass(frozen=True)
class Entry:
    """One stored object: key relative to the storage, size in bytes, and a tag that changes with its content."""

    key: str
    size: int
    etag: str


class Storage(ABC):
    """A flat space of objects under one URI. Keys are relative POSIX paths."""

    uri: str

    @abstractmethod
    def read(self, key: str) -> bytes:
        """Returns the object's bytes.

        Raises:
            ObjectNotFound: there is none.
        """

    @abstractmethod
    def read_tagged(self, key: str) -> tuple[bytes, str]:
        """Returns the object's bytes and the tag to give to `write(if_match=…)`."""

    @abstractmethod
    def write(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        """Writes the object atomically and returns its tag.

        Raises:
            ConditionFailed: `if_absent` and there is one, or `if_match` and the tag is another.
        """

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Says whether there is an object at exactly this key."""

    @abstractmethod
    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yields the objects below a prefix (a folder), in no promised order."""

    @abstractmethod
    def folders(self, prefix: str = "") -> list[str]:
        """Returns the names of the folders directly below a prefix, sorted."""

    @abstractmethod
    def delete_folder(self, prefix: str) -> None:
        """Deletes everything below a prefix; no error when there is nothing."""

    @abstractmethod
    def put_folder(self, local: Path, prefix: str, *, last: str) -> None:
        """Replaces the folder at `prefix` by a local one; `last` is the file whose presence says that it is whole."""

    @abstractmethod
    def local_folder(self, prefix: str) -> contextlib.AbstractContextManager[Path]:
        """Gives the folder as a local path, fetched if need be. Read only: writing there reaches nobody."""

    def read_json(self, key: str) -> Any:
        """Returns the object parsed as JSON."""
        return json.loads(self.read(key))

    def write_json(self, key: str, value: Any, *, if_absent: bool = False, if_match: str | None = None) -> str:
        """Writes a value as JSON. NaN and infinities are refused: a reader in another language could not parse them."""
        text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
        return self.write(key, text.encode(), if_absent=if_absent, if_match=if_match)

    def location(self, key: str) -> str:
        """Returns the full address of a key, for messages and links."""
        return f"{self.uri.rstrip('/')}/{key}" if key else self.uri


def open_storage(uri: str | os.PathLike[str]) -> Storage:
    """Opens a folder or `s3://bucket/prefix`. Nothing is created or contacted before the first use.

    Raises:
        UsageError: the URI has a scheme that is neither.
    """
    text = os.fspath(uri)
    if text.startswith("s3://"):
        bucket, _, prefix = text.removeprefix("s3://").partition("/")
        if not bucket:
            raise UsageError(f"'{text}' names no bucket; expected s3://bucket/prefix.")
        return S3Storage(bucket, prefix.strip("/"))
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" in text:
        raise UsageError(f"'{text}' cannot be opened; expected a folder or s3://bucket/prefix.")
    return FolderStorage(Path(text).absolute())


def confined(key: str) -> str:
    """Returns a key in normal form.

    Raises:
        PathEscapes: it is absolute or leads outside (`..`), or holds a NUL or a backslash.
    """
    parts = PurePosixPath(key).parts
    if key.startswith("/") or ".." in parts or "\0" in key or "\\" in key:
        raise PathEscapes(f"The path {key!r} leaves its folder; expected a relative path without '..'.")
    return "/".join(part for part in parts if part != ".")


class FolderStorage(Storage):
    """Objects as files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = str(root)

    def path(self, key: str) -> Path:
        """Returns the file of a key."""
        return self.root / confined(key)

    def read(self, key: str) -> bytes:
        try:
            return self.path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectNotFound(f"{self.location(key)} does not exist.") from None
        except OSError as error:
            raise StorageError(f"{self.location(key)} cannot be read: {error.strerror}.") from error

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        data = self.read(key)
        return data, _digest(data)

    def write(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        target = self.path(key)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not if_absent and if_match is None:
                _replace(target, data)
            else:
                with _locked(target.parent):
                    self._check(key, target, if_absent=if_absent, if_match=if_match)
                    _replace(target, data)
        except OSError as error:
            raise StorageError(f"{self.location(key)} cannot be written: {error.strerror}.") from error
        return _digest(data)

    def _check(self, key: str, target: Path, *, if_absent: bool, if_match: str | None) -> None:
        found = _digest(target.read_bytes()) if target.exists() else None
        if if_absent and found is not None:
            raise ConditionFailed(f"{self.location(key)} exists already; expected none.")
        if if_match is not None and found != if_match:
            raise ConditionFailed(f"{self.location(key)} was changed by another writer; read it again.")

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        top = self.path(prefix)
        for folder, names, files in os.walk(top):
            names[:] = [name for name in names if not name.startswith(".")]
            for name in files:
                if name.startswith("."):
                    continue
                path = Path(folder, name)
                status = path.stat()
                yield Entry(
                    path.relative_to(self.root).as_posix(), status.st_size, f"{status.st_mtime_ns}-{status.st_size}"
                )

    def folders(self, prefix: str = "") -> list[str]:
        top = self.path(prefix)
        if not top.is_dir():
            return []
        return sorted(child.name for child in top.iterdir() if child.is_dir() and not child.name.startswith("."))

    def delete_folder(self, prefix: str) -> None:
        shutil.rmtree(self.path(prefix), ignore_errors=True)

    def put_folder(self, local: Path, prefix: str, *, last: str) -> None:
        target = self.path(prefix)
        staging = target.parent / f".{target.name}.{uuid.uuid4().hex}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(local, staging)
            with _locked(target.parent):
                if target.exists():
                    old = target.parent / f".{target.name}.{uuid.uuid4().hex}"
                    target.rename(old)
                    staging.rename(target)
                    shutil.rmtree(old, ignore_errors=True)
                else:
                    staging.rename(target)
        except OSError as error:
            raise StorageError(f"{self.location(prefix)} cannot be written: {error.strerror or error}.") from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    @contextlib.contextmanager
    def local_folder(self, prefix: str) -> Iterator[Path]:
        path = self.path(prefix)
        if not path.is_dir():
            raise ObjectNotFound(f"{self.location(prefix)} does not exist.")
        yield path


class S3Storage(Storage):
    """Objects below a prefix of a bucket, through boto3 and its usual chain of credentials."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.bucket = bucket
        self.prefix = prefix
        self.uri = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
        self._client: S3Client | None = None

    @property
    def client(self) -> S3Client:
        if self._client is None:
            import boto3
            from botocore.config import Config as BotoConfig

            self._client = boto3.client(
                "s3",
                config=BotoConfig(
                    connect_timeout=5,
                    read_timeout=60,
                    retries={"max_attempts": 5, "mode": "standard"},
                    max_pool_connections=PARALLEL_TRANSFERS,
                ),
            )
        return self._client

    def _key(self, key: str) -> str:
        key = confined(key)
        return f"{self.prefix}/{key}" if self.prefix and key else self.prefix or key

    def read(self, key: str) -> bytes:
        return self.read_tagged(key)[0]

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        with self._explained(key):
            answer = self.client.get_object(Bucket=self.bucket, Key=self._key(key))
            return answer["Body"].read(), answer["ETag"]

    def write(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        condition: dict[str, str] = {}
        if if_absent:
            condition["IfNoneMatch"] = "*"
        if if_match is not None:
            condition["IfMatch"] = if_match
        with self._explained(key):
            answer = self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data, **condition)  # type: ignore[arg-type]
            return answer["ETag"]

    def exists(self, key: str) -> bool:
        try:
            with self._explained(key):
                self.client.head_object(Bucket=self.bucket, Key=self._key(key))
        except ObjectNotFound:
            return False
        return True

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        top = self._key(prefix)
        below = f"{top}/" if top else ""
        skip = len(self.prefix) + 1 if self.prefix else 0
        with self._explained(prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=below):
                for found in page.get("Contents", ()):
                    yield Entry(found["Key"][skip:], found["Size"], found["ETag"])

    def folders(self, prefix: str = "") -> list[str]:
        top = self._key(prefix)
        below = f"{top}/" if top else ""
        names = []
        with self._explained(prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=below, Delimiter="/"
            )
            for page in pages:
                names += [found["Prefix"][len(below) : -1] for found in page.get("CommonPrefixes", ())]
        return sorted(names)

    def delete_folder(self, prefix: str) -> None:
        keys = [self._key(entry.key) for entry in self.entries(prefix)]
        with self._explained(prefix):
            for start in range(0, len(keys), 1000):
                batch = [{"Key": key} for key in keys[start : start + 1000]]
                self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True})  # type: ignore[typeddict-item]

    def put_folder(self, local: Path, prefix: str, *, last: str) -> None:
        with self._explained(prefix):
            # Without its marker the folder counts as unfinished while its files change.
            self.client.delete_object(Bucket=self.bucket, Key=self._key(_join(prefix, last)))
        kept = {path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()}
        for entry in list(self.entries(prefix)):
            if entry.key.removeprefix(f"{confined(prefix)}/") not in kept:
                with self._explained(entry.key):
                    self.client.delete_object(Bucket=self.bucket, Key=self._key(entry.key))

        def upload(name: str) -> None:
            with self._explained(name):
                self.client.upload_file(str(local / name), self.bucket, self._key(_join(prefix, name)))

        with ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool:
            list(pool.map(upload, sorted(kept - {last})))
        upload(last)

    @contextlib.contextmanager
    def local_folder(self, prefix: str) -> Iterator[Path]:
        top = confined(prefix)
        with tempfile.TemporaryDirectory(prefix="steel-training-") as scratch:
            found = list(self.entries(prefix))
            if not found:
                raise ObjectNotFound(f"{self.location(prefix)} does not exist.")

            def download(entry: Entry) -> None:
                target = Path(scratch, confined(entry.key.removeprefix(f"{top}/")))
                target.parent.mkdir(parents=True, exist_ok=True)
                with self._explained(entry.key):
                    self.client.download_file(self.bucket, self._key(entry.key), str(target))

            with ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool:
                list(pool.map(download, found))
            yield Path(scratch)

    @contextlib.contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turns boto3's errors into ours, with the address and what to do."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if code in {"NoSuchKey", "404"} or (status == 404 and code != "NoSuchBucket"):
                raise ObjectNotFound(f"{self.location(key)} does not exist.") from None
            if code in {"PreconditionFailed", "ConditionalRequestConflict"} or status == 412:
                raise ConditionFailed(f"{self.location(key)} was changed by another writer; read it again.") from None
            raise StorageError(
                f"S3 refused {self.location(key)}: {error}. Check bucket, permissions and credentials."
            ) from error
        except (BotoCoreError, Boto3Error) as error:
            raise StorageError(
                f"S3 cannot be reached for {self.location(key)}: {error}. "
                "Check AWS_ENDPOINT_URL, the network and the credentials (usual AWS chain)."
            ) from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _replace(target: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds an exclusive lock on a folder between processes of one machine (or of one NFS server)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name
