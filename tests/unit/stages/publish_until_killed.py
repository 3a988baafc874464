"""Publishes a run again and again, killed before each of its writes in turn; run by `test_killed_publication.py`.

python publish_until_killed.py RUN BASE

RUN is the folder of a run that is judged; BASE (a folder or an `s3://` prefix) gets the stores. Modules are loaded once, and each
publication is a fork, which SIGKILLs itself before the nth name in the store changes, or before the nth change is sent to S3. It is
then published again, and a line of JSON says what was there after the kill and what came of it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from steel_training.cli import main
from steel_training.registry import Registry
from steel_training.runs.run import Run
from steel_training.storage import open_storage

NAME = "steel-defects"
NAMED = {"os.rename", "os.mkdir", "os.rmdir", "os.remove"}
"""A file or folder of a store appears and disappears by these."""
SENT = (b"PUT ", b"DELETE ", b"POST ")


def is_change(event: str, details: tuple[Any, ...], store: str) -> bool:
    """Whether an audit event changes what a reader of the store can find."""
    if event == "http.client.send":
        return bytes(details[1][:8]).startswith(SENT)
    return event in NAMED and str(details[0]).startswith(store)


def publish_here(store: str) -> int:
    """Publishes in this process; returns the exit status."""
    with contextlib.redirect_stdout(io.StringIO()):
        return main(["publish_model", "--run-id", "one", "--store", store])


def publish(store: str, killed_at: int | None) -> int:
    """Publishes in a fork; returns its exit status."""
    if (child := os.fork()) == 0:
        seen = count(1)

        def kill(event: str, details: tuple[Any, ...]) -> None:
            if is_change(event, details, store) and next(seen) == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)

        if killed_at is not None:
            sys.addaudithook(kill)
        os._exit(publish_here(store))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def state(store: str) -> dict[str, Any]:
    """What a reader of the store finds."""
    registry = Registry(open_storage(store), NAME)
    versions, (pointer, _) = registry.versions(), registry.pointer()
    return {
        "damaged": [problem for version in versions for problem in registry.verify(version)],
        "versions": versions,
        "champions": [*pointer.history, pointer.version] if pointer else [],
        "records": [
            (each["version"], each["verdict"], [reason["code"] for reason in each["reasons"]])
            for each in registry.decisions()
        ],
        "done": Run(open_storage(store), "one").find_result("publish_model") is not None,
    }


def overtake(store: str, folder: Path) -> None:
    """Another run makes its version the champion, after that of the run that was killed."""
    registry = Registry(open_storage(store), NAME)
    registry.publish(folder, "other")
    registry.promote("other")


def prepared(store: str, run: Path) -> str:
    """Puts the judged run into a store."""
    target = open_storage(store)
    for file in run.rglob("*"):
        if file.is_file():
            target.write(f"runs/one/{file.relative_to(run).as_posix()}", file.read_bytes())
    return store


judged, base = Path(sys.argv[1]), sys.argv[2]
assert publish_here(prepared(f"{base}/0", judged)) == 0  # loads what forks would load each for itself
for number in count(1):
    store = prepared(f"{base}/{number}", judged)
    first = publish(store, number)
    after_kill = state(store)
    if number % 2 and first == -signal.SIGKILL and after_kill["champions"] and not after_kill["done"]:
        overtake(store, judged.parents[1] / "other")
    again = publish(store, None)
    told = {"first": first, "killed": after_kill, "again": again, "ended": state(store)}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    if first != -signal.SIGKILL:
        break
