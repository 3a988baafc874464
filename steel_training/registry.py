"""Published versions, the champion pointer, and every verdict with its reasons."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steel_training.errors import SteelTrainingError, UsageError
from steel_training.storage import ConditionFailed, ObjectNotFound, Storage
from steel_training.verdict import Reason, Verdict

MARKER = "checksums.json"


class VersionNotFound(UsageError):
    """The registry holds no such version, or no champion yet."""


class VersionDamaged(SteelTrainingError):
    """A file of a version is not what was published."""


class ChampionMoved(SteelTrainingError):
    """Another run moved the champion pointer since this one was judged."""


class Registry:
    """One model name in a store."""

    def __init__(self, store: Storage, name: str) -> None:
        self.store = store
        self.name = name

    def _key(self, *parts: str) -> str:
        return "/".join(("models", self.name, *parts))

    def versions(self) -> list[str]:
        """Returns the whole versions, oldest first."""
        return [
            v for v in self.store.folders(self._key("versions")) if self.store.exists(self._key("versions", v, MARKER))
        ]

    def champion(self) -> tuple[str | None, str | None]:
        """Returns the champion's version and the tag of the pointer; both None before the first."""
        try:
            data, tag = self.store.read_tagged(self._key("champion.json"))
        except ObjectNotFound:
            return None, None
        return json.loads(data)["version"], tag

    def publish(self, bundle: Path, version: str) -> None:
        """Stores a bundle as an immutable version, checksums last; the same bundle again is no error.

        Raises:
            VersionDamaged: the version is there with other content.
        """
        sums = {
            path.relative_to(bundle).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(bundle.rglob("*"))
            if path.is_file() and path.name != MARKER
        }
        key = self._key("versions", version)
        try:
            if self.store.read_json(f"{key}/{MARKER}") != sums:
                raise VersionDamaged(
                    f"Version {version} is published already with other content; versions never change."
                )
        except ObjectNotFound:
            (bundle / MARKER).write_text(json.dumps(sums, indent=2), encoding="utf-8")
            self.store.put_folder(bundle, key, last=MARKER)

    def promote(self, version: str, *, expected: str | object | None = ...) -> str | None:
        """Moves the champion pointer to a version, and returns the previous champion.

        Args:
            version: to serve from now on.
            expected: the champion that the version was judged against; left out, whichever there is.

        Raises:
            VersionNotFound: there is no such version.
            ChampionMoved: the champion is another than expected; nothing was changed.
        """
        if version not in self.versions():
            raise VersionNotFound(
                f"The registry holds no version {version} of {self.name}. List them: steel-training models list --store {self.store.uri}"
            )
        current, tag = self.champion()
        if current == version:
            before: str | None = self.store.read_json(self._key("champion.json")).get("previous")
            return before
        if expected is not ... and current != expected:
            raise ChampionMoved(
                f"The champion is {current}, but version {version} was judged against {expected}. It is registered and not "
                f"promoted; run again to judge it against {current}."
            )
        pointer = {"version": version, "previous": current, "moved_at": _now()}
        try:
            self.store.write_json(self._key("champion.json"), pointer, if_absent=tag is None, if_match=tag)
        except ConditionFailed:
            raise ChampionMoved(
                f"Another run moved the champion while {version} was being promoted. Run again."
            ) from None
        return current

    def rollback(self) -> tuple[str, str]:
        """Moves the pointer back to the previous champion; returns (from, to)."""
        current, _ = self.champion()
        previous = self.store.read_json(self._key("champion.json")).get("previous") if current else None
        if current is None or previous is None:
            raise VersionNotFound(f"{self.name} has no earlier champion to go back to (champion: {current}).")
        self.promote(previous, expected=current)
        return current, previous

    def metadata(self, version: str) -> dict[str, Any]:
        """Returns a version's `gate.json`."""
        try:
            found: dict[str, Any] = self.store.read_json(self._key("versions", version, "gate.json"))
        except ObjectNotFound:
            raise VersionNotFound(f"The registry holds no version {version} of {self.name}.") from None
        return found

    @contextmanager
    def bundle(self, version: str | None = None) -> Iterator[tuple[str, Path]]:
        """Gives a version's files (the champion's by default) as a local folder, verified against their checksums.

        Raises:
            VersionNotFound: there is no such version, or no champion.
            VersionDamaged: a file is missing or changed.
        """
        wanted = version or self.champion()[0]
        if wanted is None:
            raise VersionNotFound(
                f"{self.name} has no champion in {self.store.uri} yet. Publish one: steel-training run DATASET --store {self.store.uri}"
            )
        if wanted not in self.versions():
            raise VersionNotFound(f"The registry holds no version {wanted} of {self.name}.")
        with self.store.local_folder(self._key("versions", wanted)) as folder:
            sums = json.loads((folder / MARKER).read_text(encoding="utf-8"))
            for name, digest in sums.items():
                path = folder / name
                if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                    raise VersionDamaged(
                        f"{name} of version {wanted} is not what was published; promote another version."
                    )
            yield wanted, folder

    def record(self, run_id: str, verdict: Verdict, reasons: Sequence[Reason], facts: Mapping[str, Any]) -> None:
        """Writes a verdict beside the versions, one file a run; a run done again replaces its own."""
        decision = {
            "run_id": run_id,
            "verdict": str(verdict),
            "reasons": [reason.as_dict() for reason in reasons],
            "decided_at": _now(),
            **facts,
        }
        self.store.write_json(self._key("decisions", f"{run_id}.json"), decision)

    def decisions(self) -> list[dict[str, Any]]:
        """Returns every verdict, oldest first."""
        found = [self.store.read_json(entry.key) for entry in self.store.entries(self._key("decisions"))]
        return sorted(found, key=lambda decision: (decision["decided_at"], decision["run_id"]))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
