"""Works on a run while it holds its lease; run by `test_lease.py`, in a fork.

Globals that it gets: `store`, its address; `machine`, on which it claims to be, or "here"; `heartbeat`, seconds; `environment`; `ears` and `mouth`, ends
of pipes. It takes and releases the lease or commits a stage at each word that it hears, and says what came of it.
"""

from __future__ import annotations

import contextlib
import os

from steel_training.errors import SteelTrainingError
from steel_training.runs import lease as lease_module
from steel_training.runs.lease import Lease
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run
from steel_training.storage import open_storage

os.environ.update(environment)  # noqa: F821 - the fork has that of its server
lease_module.HEARTBEAT_SECONDS, lease_module.EXPIRY_SECONDS = heartbeat, 1.0  # noqa: F821
if machine != "here":  # noqa: F821
    lease_module._machine = lambda: machine  # noqa: F821
run = Run(open_storage(store), "night")  # noqa: F821
run.lease = Lease(run.store, "night", "fine_tune")
with contextlib.suppress(EOFError):
    while word := ears.recv():  # noqa: F821
        try:
            if word == "take":
                told = "held" if run.lease.acquire() else "had"
            elif word == "release":
                run.lease.release()
                told = "released"
            else:
                run.perform("decide", {"by": word}, lambda _: StageResult("decide"))
                told = "done"
        except SteelTrainingError as error:
            told = f"{type(error).__name__}: {error}"
        mouth.send(told)  # noqa: F821
