"""One model name in a store: versions that never change, the champion pointer, and the verdicts."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from steel_training.environment import Environment
from steel_training.errors import UsageError
from steel_training.model_files import require_safe
from steel_training.registry.errors import (
    ChampionMoved,
    ModelNameRefused,
    PointerDamaged,
    VersionBeingPublished,
    VersionDamaged,
    VersionNotFound,
)
from steel_training.registry.gate_record import StoredGate
from steel_training.registry.pointer import REMEMBERED, Pointer, surplus
from steel_training.registry.record import RecordRefused, Unreadable, Verdicts, by_time, checked
from steel_training.registry.stored import Decision, GateRecord, VerdictFacts
from steel_training.registry.version_files import MARKER, SIGNATURE, VersionFiles
from steel_training.storage import (
    ConditionFailed,
    Entry,
    ObjectNotFound,
    OutcomeUnknown,
    Storage,
    StorageError,
    schema,
)
from steel_training.storage.declared import type_problem
from steel_training.storage.file_hashes import file_hashes
from steel_training.verdict import OVERTAKEN, Reason, Verdict

log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")  # as in the setting model.name
_POINTER = "champion.json"


def names(store: Storage) -> list[str]:
    """Return the model names that a store holds, sorted."""
    return [name for name in store.folders("models") if _NAME.fullmatch(name)]


class Registry:
    """One model name in a store.

    Raises:
        ModelNameRefused: the name has other characters than `model.name` allows, such as a slash.
    """

    def __init__(self, store: Storage, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ModelNameRefused(
                f"{name!r} is not a valid model name. Expected up to 64 lower-case letters, digits, '.', '_' and '-', the first "
                "a letter or digit, such as steel-defects."
            )
        self.store = store
        self.name = name

    def _key(self, *parts: str) -> str:
        return "/".join(("models", self.name, *parts))

    def versions(self) -> list[str]:
        """Return the complete versions, oldest first: by the time of their verdict, then by name."""
        found = [v for v in self.store.folders(self._key("versions")) if self.holds(v)]
        return sorted(found, key=lambda version: (self._judged_at(version), version))

    def champion(self) -> tuple[str | None, str | None]:
        """Return the champion's version and the tag of the pointer; both None before the first.

        Raises:
            PointerDamaged: it cannot be read.
        """
        pointer, tag = self.pointer()
        return (pointer.version if pointer else None), tag

    def pointer(self) -> tuple[Pointer | None, str | None]:
        """Return the pointer and the tag that a conditional write of it needs; both None before the first champion.

        Raises:
            PointerDamaged: it cannot be read.
            WrittenByNewer: a later version of this program wrote it.
        """
        key = self._key(_POINTER)
        try:
            data, tag = self.store.read_tagged(key)
        except ObjectNotFound:
            return None, None
        try:
            return Pointer.from_dict(json.loads(data)), tag
        except (ValueError, TypeError) as error:
            raise PointerDamaged(
                f"{self.store.location(key)} is damaged ({len(data):,} bytes: {error!s:.120}), so the champion is unknown. "
                f"Set it: steel-training models promote VERSION --store {self.store.uri} "
                "(or models rollback, to the champion before the last one on record).",
                tag,
            ) from error

    def publish(self, bundle: Path, version: str) -> None:
        """Store a bundle as an immutable version, checksums last; publishing the same bundle again is allowed.

        Of several runs that publish one version at once, one succeeds; the others get an error, unless their bundle is the same.

        Raises:
            VersionDamaged: the version exists with other content, or its checksums cannot be read.
            UnsafeModelFile: a model's file holds what this program's exports do not hold; nothing was stored.
            VersionBeingPublished: another run is publishing it with other content.
            KeyUnusable: a configured key is not one, or nobody would accept the version; nothing was stored.
        """
        require_safe(bundle)
        sums = file_hashes(bundle, without=(MARKER, SIGNATURE))
        if not self.holds(version):
            checksums = json.dumps(sums, indent=2).encode()
            (bundle / MARKER).write_bytes(checksums)
            self._sign(bundle, version, checksums)
            try:
                self.store.put_folder(bundle, self._key("versions", version), last=MARKER, if_absent=True)
            except ConditionFailed as error:
                if not self.holds(version):
                    raise VersionBeingPublished(
                        f"Another run is publishing version {version} of {self.name} with other content; this bundle was not "
                        f"published. {error}"
                    ) from error
            else:
                return
        if self._files(version).checksums() != sums:
            raise VersionDamaged(f"Version {version} is published already with other content; versions never change.")

    def promote(self, version: str, *, expected: str | object | None = ...) -> str | None:
        """Move the champion pointer to a version after verifying its checksums; return the previous champion.

        Args:
            version: the new champion.
            expected: the champion that the version was compared with; with it, a version that was champion and has been succeeded
                counts as promoted, so that an interrupted run can be repeated. If left out, any champion is replaced, and so is a
                damaged pointer.

        Raises:
            VersionNotFound: there is no such version.
            VersionDamaged: it differs from what was published; nothing was changed.
            ChampionMoved: the champion is not the expected one; nothing was changed.
            PointerDamaged: the current champion is unknown; nothing was changed.
        """
        pointer, tag, damaged = self._pointer_to_repair(strict=expected is not ...)
        if damaged:
            self._must_serve(version, None)
            self._move(Pointer(version, _now(), tuple(v for v in self._on_record() if v != version)), tag)
            return None
        if pointer is not None and pointer.version == version:
            return pointer.previous
        if expected is not ... and pointer is not None and version in pointer.history:
            return pointer.before(version)
        current = pointer.version if pointer else None
        self._must_serve(version, pointer)
        if expected is not ... and current != expected:
            raise ChampionMoved(
                f"The champion is {current}, but version {version} was compared with {expected}. It is registered and not "
                f"promoted; run again to compare it with {current}."
            )
        self._move(pointer.promoted(version, _now()) if pointer else Pointer(version, _now()), tag)
        return current

    def rollback(self, *, expected: str | object | None = ...) -> tuple[str, str]:
        """Move the pointer back to the previous champion, and on repetition further back; return (from, to).

        Where the pointer is damaged, the order of champions is taken from the verdicts.

        Args:
            expected: the champion to go back from; if left out, any.

        Raises:
            VersionNotFound: no earlier champion is left.
            VersionDamaged: the earlier champion differs from what was published; nothing was changed.
            ChampionMoved: another run moved it meanwhile.
            PointerDamaged: the current champion is unknown; nothing was changed.
        """
        pointer, tag, damaged = self._pointer_to_repair(strict=expected is not ...)
        if damaged and (known := self._on_record()):
            pointer = Pointer(known[-1], _now(), known[:-1])
        current = pointer.version if pointer else None
        if expected is not ... and current != expected:
            raise ChampionMoved(f"The champion is {current}, no longer {expected}; nothing was changed.")
        back = pointer.rolled_back(self.versions(), _now()) if pointer else None
        if pointer is None or back is None:
            raise VersionNotFound(
                f"{self.name} has no earlier champion to go back to (champion: {pointer.version if pointer else None})."
            )
        self._must_serve(back.version, pointer)
        self._move(back, tag)
        return pointer.version, back.version

    def prune(self, keep: int, *, dry_run: bool = False) -> list[str]:
        """Remove the oldest versions except the champion, the one to roll back to, and the newest `keep`.

        A conditional write of the pointer first records the versions to delete: a promotion in progress fails, and a later one is
        refused. Then each version loses its checksums before its other files, so that no reader takes a partial version for
        complete. Versions that an earlier prune left partly deleted are deleted too. Verdicts are kept.

        Args:
            keep: at least 1.
            dry_run: only return what would be removed.

        Returns:
            The versions removed, oldest first.

        Raises:
            UsageError: `keep` is less than 1.
            VersionNotFound: there is no champion, so it is unknown which versions are needed.
            ChampionMoved: another run moved the champion meanwhile; nothing was removed.
        """
        if keep < 1:
            raise UsageError(f"--keep {keep} could remove a version that is being published; keep at least 1.")
        pointer, tag = self.pointer()
        if pointer is None:
            raise VersionNotFound(
                f"{self.name} has no champion in {self.store.uri}, so nothing is pruned. Promote a version first: "
                f"steel-training models promote VERSION --store {self.store.uri}"
            )
        to_delete = surplus(self.versions(), pointer, keep)
        if dry_run:
            return to_delete
        left_over = [v for v in self.store.folders(self._key("versions")) if v in pointer.retired]
        if to_delete:
            self._move(pointer.retiring({*to_delete, *left_over}, _now()), tag)
        for version in dict.fromkeys((*to_delete, *left_over)):
            self.store.remove_folder(self._key("versions", version), first=MARKER)
        return to_delete

    def metadata(self, version: str) -> GateRecord:
        """Return a version's `gate.json`.

        Raises:
            VersionNotFound: there is no such version.
            VersionDamaged: it differs from what was published, or cannot be shown.
            WrittenByNewer: a later version of this program wrote it.
        """
        files = self._files(version)
        data = files.read("gate.json", files.checksums().get("gate.json", ""))
        try:
            found: GateRecord = json.loads(data)
        except ValueError as error:
            raise VersionDamaged(f"gate.json of version {version} cannot be read: {error}.") from None
        schema.readable(found, f"gate.json of version {version}")
        if (problem := type_problem(StoredGate, found)) is not None:
            raise VersionDamaged(f"gate.json of version {version} cannot be shown: {problem}.")
        return found

    @contextmanager
    def bundle(self, version: str | None = None) -> Iterator[tuple[str, Path]]:
        """Yield a version's files (the champion's by default) as a local copy, verified against their checksums and safe to load.

        A copy, so that a version that is pruned meanwhile stays complete for this reader.

        Raises:
            VersionNotFound: there is no such version, or no champion.
            VersionDamaged: a file is missing or changed.
            VersionUnsafe: a model's file holds what this program's exports do not hold.
            VersionUntrusted: the site trusts keys, and none of them has signed it.
        """
        wanted = self.champion()[0] if version is None else version
        if wanted is None:
            raise VersionNotFound(
                f"{self.name} has no champion in {self.store.uri} yet. Publish one: steel-training run DATASET --store {self.store.uri}"
            )
        with self._files(wanted).copied() as folder:
            yield wanted, folder

    def verify(self, version: str) -> list[str]:
        """Check every file of a version, and that there are no others; return the problems.

        Raises:
            VersionNotFound: there is no such version.
        """
        return self._files(version).problems()

    def sign(self, version: str, *, vouch: bool = False) -> str:
        """Sign a published version with the site's key; return the fingerprint of the key.

        Args:
            version: to be signed.
            vouch: sign it also where no trusted key has signed it.

        Raises:
            VersionNotFound: there is no such version.
            VersionDamaged: it differs from what was published, or must not be loaded, or no trusted key has signed it.
            KeyUnusable: no key is configured, or it is not one.
        """
        return self._files(version).sign(vouch=vouch)

    def record(self, run_id: str, verdict: Verdict, reasons: Sequence[Reason], facts: VerdictFacts) -> None:
        """Write a verdict beside the versions, one file per run; a repeated run replaces its own.

        The versions that it published before are kept (one may be the champion) and listed in the new record.
        """
        key = self._key("decisions", f"{run_id}.json")
        replaced = self._published_by(key) - {facts.get("version")}
        decision: Decision = {
            "schema": schema.SCHEMA,
            "run_id": run_id,
            "verdict": str(verdict),
            "reasons": [reason.as_dict() for reason in reasons],
            "decided_at": _now(),
            "replaced": sorted(replaced),
            **facts,
        }
        self.store.write_json(key, decision)

    def decision(self, run_id: str) -> Decision | None:
        """Return the verdict of a run; `None` where there is none that can be read.

        Raises:
            WrittenByNewer: a later version of this program wrote it.
        """
        try:
            return self._verdict(self._key("decisions", f"{run_id}.json"))
        except (ObjectNotFound, ValueError, RecordRefused):
            return None

    def decisions(self) -> list[Decision]:
        """Return every verdict that can be read, oldest first; the log names the others.

        Raises:
            WrittenByNewer: a later version of this program wrote one.
        """
        verdicts = self.verdicts()
        for each in verdicts.unreadable:
            log.warning("%s is not a valid verdict (%s); it is skipped", self.store.location(each.key), each.why)
        return verdicts.found[::-1]

    def verdicts(self) -> Verdicts:
        """Return every verdict, newest first, and the records that cannot be read.

        Raises:
            WrittenByNewer: a later version of this program wrote one.
        """
        found, unreadable = [], []
        for entry in self.decision_entries():
            try:
                found.append(self._verdict(entry.key))
            except ObjectNotFound:
                continue  # removed since the listing
            except (ValueError, RecordRefused) as error:
                unreadable.append(Unreadable(entry.key, str(error)))
        return Verdicts(sorted(found, key=by_time, reverse=True), unreadable)

    def _verdict(self, key: str) -> Decision:
        return checked(self.store.read_json(key), self.store.location(key))

    def decision_entries(self) -> list[Entry]:
        """Return the entries of the verdicts, with tags that change when one is replaced; nothing is read."""
        return list(self.store.entries(self._key("decisions")))

    def started(self) -> list[str]:
        """Return the names of all versions in one listing: complete, being published, or being removed."""
        return self.store.folders(self._key("versions"))

    def holds(self, version: str) -> bool:
        """Return whether a version exists and is complete."""
        return self._files(version).complete()

    def key_of(self, version: str, name: str) -> str:
        """Return the store's key of a version's file."""
        return self._key("versions", version, name)

    def _files(self, version: str) -> VersionFiles:
        return VersionFiles(self.store, self.name, version)

    def _sign(self, bundle: Path, version: str, checksums: bytes) -> None:
        environment = Environment.read()
        signature = None
        if environment.signing_key or environment.trusted_keys:
            # Here, because most sites have no keys and all import this at start-up.
            from steel_training.registry.signatures import signature_of_new

            signature = signature_of_new(self.name, version, checksums)
        (bundle / SIGNATURE).unlink(missing_ok=True)
        if signature is not None:
            (bundle / SIGNATURE).write_bytes(signature)

    def _published_by(self, key: str) -> set[str]:
        """Return the versions that a record names, and those that it replaced; empty where it cannot be read."""
        try:
            record = json.loads(self.store.read(key))
        except (ObjectNotFound, ValueError):
            return set()
        if not isinstance(record, dict):
            return set()
        replaced = record.get("replaced")
        named = [*(replaced if isinstance(replaced, list) else ()), record.get("version")]
        return {version for version in named if isinstance(version, str) and version}

    def _judged_at(self, version: str) -> str:
        """Return when a version was judged, or the day that its name begins with; empty where neither is known."""
        try:
            known = self.store.read_json(self._key("versions", version, "gate.json"))
        except (ObjectNotFound, ValueError):
            known = None
        judged_at = known.get("judged_at") if isinstance(known, dict) else None
        day = f"{version[:4]}-{version[4:6]}-{version[6:8]}" if version[:8].isdigit() else ""
        return str(judged_at or day)

    def _must_serve(self, version: str, pointer: Pointer | None) -> None:
        problems = self.verify(version)
        if problems:
            raise VersionDamaged(f"Version {version} cannot become champion: {' '.join(problems)}")
        if pointer is not None and version in pointer.retired:
            raise VersionNotFound(f"Version {version} of {self.name} is being removed by a prune; name another.")

    def _pointer_to_repair(self, *, strict: bool) -> tuple[Pointer | None, str | None, bool]:
        """Return pointer, tag, and whether the pointer is damaged; `strict` raises `PointerDamaged` instead."""
        try:
            return *self.pointer(), False
        except PointerDamaged as error:
            if strict:
                raise
            log.warning("%s", error)
            return None, error.tag, True

    def _on_record(self) -> tuple[str, ...]:
        """Return the complete versions that became champion according to the verdicts, oldest first."""
        whole = set(self.versions())
        champions = [
            version
            for decision in self.decisions()
            if decision["verdict"] == Verdict.PUBLISHED
            and (version := decision.get("version")) is not None
            and version in whole
            and decision.get("promote", True)
            and all(reason["code"] not in OVERTAKEN for reason in decision.get("reasons", ()))
        ]
        return tuple(champions)[-REMEMBERED:]

    def _move(self, pointer: Pointer, tag: str | None) -> None:
        try:
            self.store.write_json(self._key(_POINTER), pointer.as_dict(), if_absent=tag is None, if_match=tag)
        except StorageError as error:
            if self._has_moved(pointer, error):
                return
            if not isinstance(error, ConditionFailed):
                raise
            raise ChampionMoved(
                f"Another run moved the champion of {self.name} at the same moment; nothing was changed. Run again."
            ) from None

    def _has_moved(self, pointer: Pointer, failed: StorageError) -> bool:
        """Return whether the pointer was moved although the write failed: the response may have been lost."""
        try:
            now, _ = self.pointer()
        except PointerDamaged:
            return False
        except StorageError as error:
            raise OutcomeUnknown(
                f"{failed} It is unknown whether the champion of {self.name} was moved to {pointer.version}, as the pointer "
                f"cannot be read now. Check before you move it again: steel-training models list --store {self.store.uri}"
            ) from error
        return now == pointer


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
