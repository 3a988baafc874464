"""Objects below a prefix of an S3 bucket, through boto3 and its default credential chain.

S3 writes objects atomically and supports conditional writes (`If-None-Match`, `If-Match`). Transient errors (throttling, server errors,
a lost connection, a truncated response) are retried with growing delays; uploads and downloads are checked by the digest that S3 returns.
"""

from __future__ import annotations

import contextlib
import filecmp
import functools
import hashlib
import io
import random
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from steel_training.storage.interface import (
    ConditionFailed,
    Entry,
    ObjectNotFound,
    OutcomeUnknown,
    Storage,
    StorageError,
    StorageUnavailable,
    confined,
)

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

PARALLEL_TRANSFERS = 16

# A service that is down is reported in seconds; longer outages are left to the retries of the task.
CONNECT_TIMEOUT = 3
READ_TIMEOUT = 60
ATTEMPTS = 5
# Up to this size an object is uploaded in one request, and its ETag is the MD5 of its bytes.
SINGLE_REQUEST = 256 * 2**20
# Up to this size an object of a folder is downloaded in one request: in parts, boto3 first asks for the size, which is known.
ONE_READ = 8 * 2**20
_MD5 = re.compile(r"^[0-9a-f]{32}$")
_LONGEST_PAUSE = 8.0
_CHUNK = 2**20
# No folder takes this long to write: a writer that has not finished by then was interrupted.
CLAIM_SECONDS = 3600
_PASSING = {
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
}


@dataclass(frozen=True)
class RequestLimits:
    """How long a request to S3 may take.

    Attributes:
        connect_seconds: until the connection is made.
        read_seconds: without a byte of the response.
        attempts: in all, each with these times.
    """

    connect_seconds: float = CONNECT_TIMEOUT
    read_seconds: float = READ_TIMEOUT
    attempts: int = ATTEMPTS


@dataclass(frozen=True)
class _Claim:
    """Marks that a folder is being written: an object beside it, and the digest of the content."""

    key: str
    content: bytes


class S3Storage(Storage):
    """Objects below a prefix of a bucket."""

    def __init__(self, bucket: str, prefix: str = "", limits: RequestLimits | None = None) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self.limits = limits or RequestLimits()
        self.uri = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
        self._client: S3Client | None = None
        self._connecting = threading.Lock()

    @property
    def client(self) -> S3Client:
        with self._connecting:
            if self._client is None:
                self._client = _connect(self.limits)
            return self._client

    def _key(self, key: str) -> str:
        key = confined(key)
        return f"{self.prefix}/{key}" if self.prefix and key else self.prefix or key

    def _below(self, prefix: str) -> str:
        top = self._key(prefix)
        return f"{top}/" if top else ""

    def read(self, key: str) -> bytes:
        return self.read_tagged(key)[0]

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        with io.BytesIO() as body:
            tag = self._receive(key, body, in_memory=True)
            return body.getvalue(), tag

    def _receive(self, key: str, target: BinaryIO, *, in_memory: bool = False) -> str:
        """Write the whole body of an object to a file that may be written again from its start; return the object's tag.

        boto3 retries before a response begins, not within one: a body that is cut off, or has another digest than was stored, is
        requested again.
        """
        if not confined(key):
            raise ObjectNotFound(f"{self.uri} is a folder, not an object.")
        problem, timed_out, attempts = "", False, self.limits.attempts
        with self._explained(key):
            for attempt in range(1, attempts + 1):
                target.seek(0)
                target.truncate()
                answer = self.client.get_object(Bucket=self.bucket, Key=self._key(key))
                if in_memory:
                    self._check_size(key, answer["ContentLength"])
                digest = hashlib.md5(usedforsecurity=False)
                try:
                    for chunk in answer["Body"].iter_chunks(_CHUNK):
                        digest.update(chunk)
                        target.write(chunk)
                except _truncated() as error:
                    problem, timed_out = str(error), _is_timeout(error)
                else:
                    if _is_whole(answer, digest.hexdigest()):
                        return answer["ETag"]
                    problem, timed_out = f"MD5 {digest.hexdigest()}, stored {answer['ETag']}", False
                if attempt < attempts:
                    _pause(attempt)
        raise (StorageUnavailable if timed_out else StorageError)(
            f"The response of S3 for {self.location(key)} was cut off or corrupted {attempts} times: {problem}. Check the network."
        )

    def _check_size(self, key: str, size: int) -> None:
        """Refuse an object before its body is read into memory; a store's own objects may have any size."""

    def write(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        condition: dict[str, str] = {}
        if if_absent:
            condition["IfNoneMatch"] = "*"
        if if_match is not None:
            condition["IfMatch"] = if_match
        try:
            return self._send(key, data, condition)
        except ObjectNotFound:  # the response to If-Match without an object
            raise ConditionFailed(f"{self.location(key)} was removed by another writer; read it again.") from None
        except StorageError as error:
            # The response to a successful attempt may have been lost; a retry then finds our own object.
            if condition and (tag := self._tag_of(key, data, error)) is not None:
                return tag
            raise

    def _tag_of(self, key: str, data: bytes, failed: StorageError) -> str | None:
        """Return the tag of an object that holds these bytes although the write failed; `None` where it does not.

        Raises:
            OutcomeUnknown: it cannot be read.
        """
        try:
            found, tag = self.read_tagged(key)
        except ObjectNotFound:
            return None
        except StorageError as error:
            raise OutcomeUnknown(
                f"{failed} It is unknown whether {self.location(key)} was written, as it cannot be read now. Check it "
                "before you write it again."
            ) from error
        return tag if found == data else None

    def _send(self, key: str, data: bytes, condition: dict[str, str] | None = None) -> str:
        """Write an object in one request, and check the digest of what arrived."""
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        with self._explained(key):
            for attempt in range(1, self.limits.attempts + 1):
                answer = self.client.put_object(
                    Bucket=self.bucket,
                    Key=self._key(key),
                    Body=data,
                    **(condition or {}),  # type: ignore[arg-type]
                )
                tag = answer["ETag"]
                arrived = tag.strip('"')
                # The tag of an object encrypted by KMS is not a digest.
                if arrived == digest if _MD5.match(arrived) else self.read(key) == data:
                    return tag
                if condition:  # replace only our own damaged object
                    condition = {"IfMatch": tag}
                _pause(attempt)
        self._delete(key)
        raise StorageError(
            f"{self.location(key)} was corrupted in {self.limits.attempts} uploads (MD5 {arrived}, sent {digest}), and was removed. "
            "Check the network and the S3 service."
        )

    def entry(self, key: str) -> Entry:
        if not confined(key):
            raise ObjectNotFound(f"{self.uri} is a folder, not an object.")
        with self._explained(key):
            found = self.client.head_object(Bucket=self.bucket, Key=self._key(key))
        return Entry(confined(key), found["ContentLength"], found["ETag"], found["LastModified"].timestamp())

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        yield from self._listed(prefix)

    def files(self, prefix: str = "") -> list[Entry]:
        return sorted(self._listed(prefix, Delimiter="/"), key=lambda entry: entry.key)

    def _listed(self, prefix: str, **further: str) -> Iterator[Entry]:
        skip = len(self.prefix) + 1 if self.prefix else 0
        below = {"Bucket": self.bucket, "Prefix": self._below(prefix), **further}
        with self._explained(prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(**below):  # type: ignore[arg-type]
                for found in page.get("Contents", ()):
                    # Web consoles represent a folder by an empty object whose key ends with a slash.
                    if not found["Key"].endswith("/"):
                        yield Entry(
                            found["Key"][skip:], found["Size"], found["ETag"], found["LastModified"].timestamp()
                        )

    def folders(self, prefix: str = "") -> list[str]:
        below = self._below(prefix)
        names = []
        with self._explained(prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=below, Delimiter="/"
            )
            for page in pages:
                names += [found["Prefix"][len(below) : -1] for found in page.get("CommonPrefixes", ())]
        return sorted(names)

    def put_folder(self, local: Path, prefix: str, *, last: str, if_absent: bool = False) -> None:
        names = sorted(path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file())
        if if_absent:
            claim = self._claim(prefix, {name: _md5(local / name) for name in names})
            if self.exists(_join(prefix, last)):
                self._delete(claim.key)
                raise ConditionFailed(f"{self.location(prefix)} exists already; expected none.")
        else:
            # Without its last file the folder counts as incomplete while the others change.
            self._delete(_join(prefix, last))
        there, wanted = set(), set(names)
        for entry in list(self.entries(prefix)):
            name = entry.key.removeprefix(f"{confined(prefix)}/")
            if name not in wanted or (if_absent and not self._holds(entry, local / name)):
                self._delete(entry.key)
            elif not if_absent and entry.etag.strip('"') == _md5(local / name):
                there.add(name)

        def upload(name: str) -> None:
            if (local / name).stat().st_size > SINGLE_REQUEST:
                self._send_multipart(_join(prefix, name), local / name)
            elif if_absent:
                self.write(_join(prefix, name), (local / name).read_bytes(), if_absent=True)
            else:
                self._send(_join(prefix, name), (local / name).read_bytes())

        with ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool:
            list(pool.map(upload, [name for name in names if name not in {last, *there}]))
        if if_absent:
            self._must_still_hold(claim, prefix)
        upload(last)
        if if_absent:
            self._delete(claim.key)

    def _claim(self, prefix: str, digests: Mapping[str, str]) -> _Claim:
        """Mark a folder as being written, with a digest of the content: another writer with other content is refused.

        An interrupted writer may continue with the same content at once; one with other content waits `CLAIM_SECONDS`.

        Raises:
            ConditionFailed: another writer was first.
        """
        content = hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest().encode()
        claim = _Claim(f"{confined(prefix)}.claim", content)
        for _ in range(ATTEMPTS):
            with contextlib.suppress(ConditionFailed):
                self.write(claim.key, content, if_absent=True)
                return claim
            with contextlib.suppress(ObjectNotFound):  # released meanwhile
                held = self.entry(claim.key)
                if time.time() - held.modified < CLAIM_SECONDS:
                    break
                self.write(claim.key, content, if_match=held.etag)
                return claim
        raise ConditionFailed(
            f"{self.location(prefix)} is being written by another writer, with other content. If that writer was interrupted, "
            f"try again {CLAIM_SECONDS // 60} minutes after it started."
        )

    def _must_still_hold(self, claim: _Claim, prefix: str) -> None:
        with contextlib.suppress(ObjectNotFound):  # another writer of the same content has finished
            if self.read(claim.key) != claim.content:
                raise ConditionFailed(
                    f"Another writer has taken over {self.location(prefix)} because this one took too long."
                )

    def _holds(self, entry: Entry, path: Path) -> bool:
        """Return whether an object equals a local file, byte for byte."""
        tag = entry.etag.strip('"')
        if _MD5.match(tag):
            return tag == _md5(path)
        return entry.size == path.stat().st_size and self.read(entry.key) == path.read_bytes()

    def _send_multipart(self, key: str, path: Path) -> None:
        """Write a large object in parts and read it back, since its tag is not a digest of the whole."""
        with self._explained(key):
            self.client.upload_file(str(path), self.bucket, self._key(key))
            with tempfile.TemporaryDirectory(prefix="steel-training-") as scratch:
                self.client.download_file(self.bucket, self._key(key), str(back := Path(scratch, "back")))
                if filecmp.cmp(path, back, shallow=False):
                    return
        self._delete(key)
        raise StorageError(
            f"{self.location(key)} was corrupted in the upload, and was removed. Check the network and the S3 service."
        )

    def remove_folder(self, prefix: str, *, first: str) -> None:
        self._delete(_join(prefix, first))
        with ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool:
            list(pool.map(self._delete, [entry.key for entry in self.entries(prefix)]))

    def copy_to(self, key: str, target: Path) -> None:
        with target.open("wb") as file:
            self._receive(key, file)

    def _delete(self, key: str) -> None:
        with self._explained(key):
            self.client.delete_object(Bucket=self.bucket, Key=self._key(key))

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
                if entry.size <= ONE_READ:
                    target.write_bytes(self.read(entry.key))
                else:
                    self.copy_to(entry.key, target)

            with ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool:
                list(pool.map(download, found))
            yield Path(scratch)

    @contextlib.contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turn boto3's errors into `StorageError`, with the address and what to do."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

        try:
            yield
        except ClientError as error:
            raise self._refusal(key, error) from error
        except ParamValidationError as error:
            raise StorageError(f"{self.location(key)} is not a valid S3 address: {error}") from error
        except (BotoCoreError, Boto3Error) as error:
            if isinstance(error.__context__, ClientError):  # upload_file wraps a refusal
                raise self._refusal(key, error.__context__) from error
            raise StorageUnavailable(
                f"S3 cannot be reached for {self.location(key)}: {error}. "
                "Check AWS_ENDPOINT_URL, the network and the credentials (default AWS chain)."
            ) from error

    def _refusal(self, key: str, error: ClientError) -> StorageError:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in {"NoSuchKey", "404"} or (status == 404 and code != "NoSuchBucket"):
            return ObjectNotFound(f"{self.location(key)} does not exist.")
        if code in {"PreconditionFailed", "ConditionalRequestConflict"} or status == 412:
            return ConditionFailed(f"{self.location(key)} was changed by another writer; read it again.")
        if code in {"RequestTimeTooSkewed", "RequestExpired"}:
            return StorageError(
                f"S3 refused {self.location(key)} because this machine's clock is wrong ({error}). Set the clock (NTP) and try again."
            )
        if code in _PASSING or (status is not None and status >= 500):
            return StorageUnavailable(
                f"S3 answered {self.location(key)} with {code or status}, {self.limits.attempts} times in a row: the service is overloaded or "
                "failing. Nothing was lost; try again later."
            )
        return StorageError(f"S3 refused {self.location(key)}: {error}. Check bucket, permissions and credentials.")


def _connect(limits: RequestLimits) -> S3Client:
    import boto3
    from botocore.config import Config
    from botocore.session import Session

    config = Config(
        connect_timeout=limits.connect_seconds,
        read_timeout=limits.read_seconds,
        retries={"total_max_attempts": limits.attempts, "mode": "standard"},
        max_pool_connections=PARALLEL_TRANSFERS,
    )
    try:
        # A session of its own: boto3's shared one must not make clients in several threads at once.
        core = Session()
        session = boto3.session.Session(botocore_session=core)  # adds a folder to the loader that it finds: its own
        core.register_component("data_loader", _service_descriptions())
        return session.client("s3", config=config)
    except ValueError as error:
        raise StorageError(f"{error}. AWS_ENDPOINT_URL needs a scheme, such as http://minio:9000.") from error


@functools.cache
def _service_descriptions() -> Loader:
    """What botocore knows of S3, read once per process: reading it takes four times as long as the rest of connecting."""
    from botocore.session import Session

    loader: Loader = Session().get_component("data_loader")
    return loader


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _pause(attempt: int) -> None:
    """Wait with exponential backoff and jitter."""
    time.sleep(random.SystemRandom().uniform(0.5, 1.0) * min(_LONGEST_PAUSE, 0.25 * 2**attempt))


def _is_whole(answer: GetObjectOutputTypeDef, digest: str) -> bool:
    """Return whether a body has the digest in its tag. The tag of an upload in parts, or encrypted by KMS or the customer, is none."""
    tag = answer["ETag"].strip('"')
    other = answer.get("ServerSideEncryption", "").startswith("aws:kms") or "SSECustomerAlgorithm" in answer
    return other or not _MD5.match(tag) or tag == digest


def _truncated() -> tuple[type[Exception], ...]:
    from botocore.exceptions import (
        ConnectionClosedError,
        FlexibleChecksumError,
        IncompleteReadError,
        ReadTimeoutError,
        ResponseStreamingError,
    )

    return ConnectionClosedError, FlexibleChecksumError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError


def _is_timeout(error: Exception) -> bool:
    from botocore.exceptions import ReadTimeoutError

    return isinstance(error, ReadTimeoutError)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name
