"""The lease of a run: of several processes that are asked for the same run at once, one works on it.

A small object in the store, `leases/RUN_ID.json`, written conditionally and renewed every `HEARTBEAT_SECONDS` while its holder works. A
holder that was killed is recognised at once on its own machine, since the process is gone, and from another machine by its lease,
which is not renewed any more. Clocks of different machines are not compared: whoever waits watches the object.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import socket
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from steel_training.errors import SteelTrainingError
from steel_training.storage import ConditionFailed, ObjectNotFound, Storage, StorageError, schema

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
EXPIRY_SECONDS = 60.0
"""A lease that has not been renewed for so long belongs to nobody."""
_POLL_SECONDS = 1.0


class RunBusy(SteelTrainingError):
    """Another process is working on the run."""


class LeaseLost(SteelTrainingError):
    """Another process has taken over the run, because this one did not renew its lease in time."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lease, as in the store.

    Attributes:
        token: of this holding, random.
        host: name of the machine.
        pid: of the process.
        process: machine, PID namespace and start time of the process; empty where the system does not say.
        work: command that it runs.
        since: ISO 8601.
        beats: number of renewals, so that each changes the object.
        released: whether it has ended.
    """

    token: str
    host: str
    pid: int
    process: str
    work: str
    since: str
    beats: int = 0
    released: bool = False

    @classmethod
    def of_this_process(cls, work: str) -> Holder:
        """Return this process as a holder."""
        pid = os.getpid()
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(uuid.uuid4().hex, socket.gethostname(), pid, f"{_machine()} {_started(pid)}", work, since)

    def is_gone(self) -> bool:
        """Return whether the process is known to have ended: it ran on this machine, and does not any more."""
        machine, _, started = self.process.rpartition(" ")
        return bool(machine) and machine == _machine() and _started(self.pid) != started


class Lease:
    """The lease of a run for this process: taken before the first work, and kept until it is released.

    Args:
        store: of the run.
        run_id: of the run.
        work: command that needs it, for the message to others.
    """

    def __init__(self, store: Storage, run_id: str, work: str) -> None:
        self._store, self._run_id, self._work = store, run_id, work
        self._key = f"leases/{run_id}.json"
        self._held: tuple[Holder, str] | None = None
        self._changing = threading.Lock()
        self._ended = threading.Event()
        self._lost = False
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)

    def acquire(self) -> bool:
        """Take the lease; return False where this process had it already.

        Raises:
            RunBusy: another process is working on the run.
            StorageError: the store cannot be reached or written.
        """
        if self._held is not None:
            return False
        holder = Holder.of_this_process(self._work)
        self._held = holder, _acquire(self._store, self._key, holder, self._run_id)
        self._heart.start()
        return True

    def must_hold(self) -> None:
        """Renew the lease, so that what is written next is written by its holder.

        Raises:
            LeaseLost: another process has taken over.
            StorageError: the store cannot be reached.
        """
        self._renew()
        if self._lost:
            raise LeaseLost(
                f"Another process has taken over run {self._run_id}, because this one did not renew its lease for "
                f"{EXPIRY_SECONDS:.0f} s. This one writes nothing more."
            )

    def release(self) -> None:
        """End the lease, if it was taken. Where that fails, it expires."""
        if self._held is None:
            return
        self._ended.set()
        self._heart.join()
        with contextlib.suppress(StorageError):
            self._renew(released=True)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS) and not self._lost:
            try:
                self._renew()
            except StorageError as error:
                log.warning("The lease of this run could not be renewed; it is tried again. %s", error)

    def _renew(self, *, released: bool = False) -> None:
        with self._changing:
            if self._held is None or self._lost:
                return
            holder, tag = self._held
            holder = dataclasses.replace(holder, beats=holder.beats + 1, released=released)
            try:
                self._held = holder, self._store.write_json(self._key, _record(holder), if_match=tag)
            except ConditionFailed:
                self._lost = True


def _acquire(store: Storage, key: str, ours: Holder, run_id: str) -> str:
    """Return the tag of the lease, once it is ours."""
    watched, since = "", time.monotonic()
    while True:
        held, tag = _read(store, key)
        if tag != watched and watched and held is not None and not held.released:
            raise _busy(run_id, held)  # it was renewed, or another process was faster
        if tag != watched:
            watched, since = tag, time.monotonic()
        expired = time.monotonic() - since >= EXPIRY_SECONDS
        if held is None or held.released or held.is_gone() or expired:
            with contextlib.suppress(ConditionFailed):
                found = store.write_json(key, _record(ours), if_absent=not tag, if_match=tag or None)
                if held is not None and not held.released:
                    log.warning("Run %s continues: %s has ended without a word.", run_id, _described(held))
                return found
            watched = watched or "none"
            continue
        if held.process.rpartition(" ")[0] == _machine():
            raise _busy(run_id, held)
        time.sleep(min(_POLL_SECONDS, HEARTBEAT_SECONDS / 2))


def _busy(run_id: str, held: Holder) -> RunBusy:
    return RunBusy(
        f"Run {run_id} is being worked on by {_described(held)}. Wait until it ends, or end that process, and run again; or use "
        "another run id. A process that was killed is recognised: nothing has to be removed."
    )


def _described(held: Holder) -> str:
    return f"process {held.pid} on {held.host} ({held.work}, since {held.since})"


def _read(store: Storage, key: str) -> tuple[Holder | None, str]:
    """Return the holder and the tag of the object; None where there is no lease, or a damaged one, and "" where there is no object."""
    try:
        data, tag = store.read_tagged(key)
    except ObjectNotFound:
        return None, ""
    try:
        values = json.loads(data)
        schema.readable(values, "The lease of the run")
        fields = {each.name: values[each.name] for each in dataclasses.fields(Holder)}
        return Holder(**fields), tag
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, tag


def _record(holder: Holder) -> dict[str, object]:
    return {schema.KEY: schema.SCHEMA, **dataclasses.asdict(holder)}


def _machine() -> str:
    """Return what names the machine since it was started, and the PID namespace; empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return the start time of a process in clock ticks since the machine was started; empty where there is none, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
