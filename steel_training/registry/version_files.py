"""The files of one version, as every reader gets them: those that were published, and none that must not be loaded."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from steel_training.environment import Environment
from steel_training.model_files import ADVICE, objection
from steel_training.registry.errors import VersionDamaged, VersionNotFound, VersionUnsafe, VersionUntrusted
from steel_training.storage import ObjectNotFound, Storage, confined

MARKER, SIGNATURE = "checksums.json", "signature.json"
_THREADS = 8


class VersionFiles:
    """The files of one version in a store."""

    def __init__(self, store: Storage, name: str, version: str) -> None:
        self.store = store
        self.name = name
        self.version = version

    def _key(self, *parts: str) -> str:
        return "/".join(("models", self.name, "versions", self.version, *parts))

    def complete(self) -> bool:
        """Return whether the version exists and all of it was written."""
        return self.store.exists(self._key(MARKER))

    def checksums(self) -> dict[str, str]:
        """Return the digest of every file that was published.

        Raises:
            VersionNotFound: there is no such version.
            VersionDamaged: they cannot be read.
        """
        return self._parsed(self._marker())

    def trusted_checksums(self) -> dict[str, str]:
        """Return the digest of every file that was published, by one whom the site trusts, where it has said whom it trusts.

        Raises:
            VersionNotFound: there is no such version.
            VersionDamaged: they cannot be read.
            VersionUntrusted: no trusted key has signed them for this version.
            KeyUnusable: a trusted key cannot be read.
        """
        data = self._marker()
        if Environment.read().trusted_keys:
            # Here, because most sites have no keys and all import this at start-up.
            from steel_training.registry.signatures import require_trusted, trusted_keys

            require_trusted(trusted_keys(), self.name, self.version, data, self._signature())
        return self._parsed(data)

    def sign(self, *, vouch: bool) -> str:
        """Sign the version with the site's key, beside the signatures by other keys; return the fingerprint of the key.

        Args:
            vouch: sign it also where no trusted key has signed it.

        Raises:
            VersionNotFound: there is no such version.
            VersionDamaged: it differs from what was published.
            VersionUntrusted: no trusted key has signed it.
            KeyUnusable: no key is configured, or it is not one.
        """
        from steel_training.registry.signatures import fingerprint, signed, the_signing_key

        key = the_signing_key()
        found = self.problems(trusted=not vouch)
        if found:
            raise VersionDamaged(f"Version {self.version} is not signed: {' '.join(found)}")
        data = signed(key, self.name, self.version, self._marker(), self._signature())
        self.store.write(self._key(SIGNATURE), data)
        return fingerprint(key.public_key())

    def _marker(self) -> bytes:
        try:
            return self.store.read(self._key(MARKER))
        except ObjectNotFound:
            raise VersionNotFound(
                f"The registry holds no version {self.version} of {self.name}. List them: "
                f"steel-training models list --store {self.store.uri}"
            ) from None

    def _signature(self) -> bytes | None:
        try:
            return self.store.read(self._key(SIGNATURE))
        except ObjectNotFound:
            return None

    def _parsed(self, data: bytes) -> dict[str, str]:
        try:
            sums = json.loads(data)
        except ValueError:
            sums = None
        if not isinstance(sums, dict):
            raise VersionDamaged(f"{MARKER} of version {self.version} cannot be read; promote another version.")
        return sums

    def read(self, name: str, digest: str) -> bytes:
        """Return one file, verified.

        Raises:
            VersionNotFound: the version was removed meanwhile.
            VersionDamaged: the file is missing or changed.
            VersionUnsafe: it is a model's file with what this program's exports do not hold.
        """
        try:
            data = self.store.read(self._key(name))
        except ObjectNotFound:
            if not self.complete():
                raise VersionNotFound(f"Version {self.version} of {self.name} was removed while it was read.") from None
            raise VersionDamaged(f"{name} of version {self.version} is missing; promote another version.") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise VersionDamaged(
                f"{name} of version {self.version} differs from what was published; promote another version."
            )
        if (found := objection(name, data)) is not None:
            raise VersionUnsafe(f"Version {self.version} of {self.name}: {found}. {ADVICE}.")
        return data

    @contextmanager
    def copied(self) -> Iterator[Path]:
        """Yield a folder with a verified copy of every file.

        Raises:
            VersionNotFound: there is no such version.
            VersionDamaged: a file is missing or changed.
            VersionUnsafe: a model's file must not be loaded.
            VersionUntrusted: no trusted key has signed it.
        """
        sums = self.trusted_checksums()
        with tempfile.TemporaryDirectory(prefix="steel-training-version-") as scratch:
            folder = Path(scratch)

            def fetch(name: str) -> None:
                target = folder / confined(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.read(name, sums[name]))

            with ThreadPoolExecutor(_THREADS) as pool:
                list(pool.map(fetch, sums))
            (folder / MARKER).write_text(json.dumps(sums, indent=2), encoding="utf-8")
            yield folder

    def problems(self, *, trusted: bool = True) -> list[str]:
        """Check every file, and that there are no others; return the problems.

        Args:
            trusted: check the signature too, where the site has said whom it trusts.

        Raises:
            VersionNotFound: there is no such version.
        """
        distrust = []
        try:
            sums = self.trusted_checksums() if trusted else self.checksums()
        except VersionUntrusted as error:
            sums, distrust = self.checksums(), [str(error)]

        def problem(name: str) -> str | None:
            try:
                self.read(name, sums[name])
            except VersionDamaged as error:
                return str(error)
            return None

        with ThreadPoolExecutor(_THREADS) as pool:
            found = distrust + [text for text in pool.map(problem, sums) if text is not None]
        top = self._key()
        names = {entry.key.removeprefix(f"{top}/") for entry in self.store.entries(top)}
        unknown = sorted(names - {MARKER, SIGNATURE, *sums})
        return found + [f"{name} of version {self.version} was not published." for name in unknown]
