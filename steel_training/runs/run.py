"""One pass of the pipeline: its folder in the store, one subfolder and one `result.json` per stage.

A stage works in a scratch folder and is committed in one step, `result.json` last: a stage with a result is
complete. Every result carries `inputs`, a hash over what went into it (stage, configuration, dataset, code, and the
results of the stages before); a stage that finds its own result with the same hash returns it. It also carries `files`, a
hash over what the stage wrote, and whoever reads a stage's folder checks it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from steel_training.config import Config
from steel_training.errors import SteelTrainingError, UsageError
from steel_training.registry import Registry
from steel_training.runs.lease import Lease
from steel_training.runs.resolved import ResolvedDataset
from steel_training.runs.result import (
    FIRST,
    FOLLOWS,
    RESULT,
    RUNS,
    SAFE_ID,
    StageResult,
    Status,
    digest_of,
)
from steel_training.runs.stage_files import record_files, require_recorded
from steel_training.runs.stored_outputs import outputs_problem
from steel_training.storage import ObjectNotFound, Storage, open_dataset
from steel_training.storage.json_types import Json
from steel_training.storage.recorded import ADVICE
from steel_training.storage.scratch import scratch_for

log = logging.getLogger(__name__)

LEAST_SPACE = 4 * 2**20
SPACE = {"check_baseline": 32 * 2**20, **dict.fromkeys(("train_head", "fine_tune", "evaluate"), 128 * 2**20)}
"""Bytes that must be free for temporary files when a stage begins: the files that it writes for EfficientNetB0, and some more."""

UNFINISHED = "unfinished"
"""Folder in the run, with one of its own for every stage that trains: the state of its training, until the stage is finished."""

Outputs = TypeVar("Outputs")


class StageNotDone(UsageError):
    """A stage was requested before the one it depends on."""


class ResultUnreadable(SteelTrainingError):
    """A stage's result cannot be read."""


class ResultDamaged(ResultUnreadable):
    """A stage's result is not whole, so that the stage counts as not finished and can be repeated."""


class Run:
    """A run's folder in the store, and its properties once its dataset is resolved."""

    def __init__(self, store: Storage, run_id: str) -> None:
        if not SAFE_ID.fullmatch(run_id):
            raise UsageError(
                f"The run id {run_id!r} is not a valid folder name; use letters, digits, '.', '_' and '-'."
            )
        self.store = store
        self.run_id = run_id
        self.lease: Lease | None = None
        """Keeps other processes from working on the run; None where the caller sees to that."""
        self._resolved: tuple[StageResult, ResolvedDataset] | None = None

    @property
    def resolved(self) -> ResolvedDataset:
        """The inputs of the run; read once.

        Raises:
            StageNotDone: `resolve_dataset` has not finished.
        """
        return self._first()[1]

    @property
    def config(self) -> Config:
        """The configuration of the run."""
        return self.resolved.config

    @property
    def dataset(self) -> Storage:
        """The dataset version that the run uses."""
        return open_dataset(self.resolved.dataset)

    @property
    def registry(self) -> Registry:
        """The registry that the run publishes to."""
        return Registry(self.store, self.config.model.name)

    @property
    def version(self) -> str:
        """The version that this run's model is registered under: the day, and a hash of what it was made from."""
        first = self._first()[0]
        tag = hashlib.sha256(f"{self.run_id}\0{first.inputs}\0{first.finished_at}".encode()).hexdigest()[:8]
        return f"{first.finished_at[:10].replace('-', '')}-{tag}"

    def _first(self) -> tuple[StageResult, ResolvedDataset]:
        if self._resolved is None:
            first = self.result(FIRST)
            self._resolved = first, self._typed(first, ResolvedDataset.model_validate)
        return self._resolved

    def key(self, *parts: str) -> str:
        """Return the store's key of something in this run."""
        return "/".join((RUNS, self.run_id, *parts))

    def find_result(self, stage: str) -> StageResult | None:
        """Return the stage's result, or `None` where it has not finished; a damaged one counts as not finished, and is logged.

        Raises:
            ResultUnreadable: its outputs hold a value of another type than is read.
        """
        try:
            return self.read_result(stage)
        except ResultDamaged as error:
            log.warning("%s The stage counts as not finished.", error)
            return None

    def read_result(self, stage: str) -> StageResult | None:
        """Return the stage's result, or `None` where there is none.

        Raises:
            ResultDamaged: it is not whole.
            ResultUnreadable: its outputs hold a value of another type than is read.
            WrittenByNewer: a later version of this program wrote it.
        """
        try:
            found = self._whole(stage, lambda: self.store.read_json(self.key(stage, RESULT)))
        except ObjectNotFound:
            return None
        # Here, for all readers at once. It is not repeated like a damaged one: hours of work may stand behind it.
        if (problem := outputs_problem(stage, found.status, found.outputs)) is not None:
            raise self._unreadable(stage, problem)
        return found

    def _whole(self, stage: str, read: Callable[[], Any]) -> StageResult:
        try:
            return StageResult.from_dict(read(), self._name(stage))
        except (ValueError, TypeError) as error:
            raise ResultDamaged(f"{self._name(stage)} is damaged ({error}).") from error

    def _name(self, stage: str) -> str:
        return f"The result of {stage} ({self.store.location(self.key(stage, RESULT))})"

    def _unreadable(self, stage: str, problem: str) -> ResultUnreadable:
        return ResultUnreadable(f"{self._name(stage)} cannot be read ({problem}). {ADVICE}")

    def result(self, stage: str) -> StageResult:
        """Return the stage's result.

        Raises:
            StageNotDone: it has not finished in this run.
        """
        found = self.find_result(stage)
        if found is None:
            raise StageNotDone(
                f"Run {self.run_id} has no finished stage '{stage}' in {self.store.uri}. "
                f"Run it first: steel-training {stage} --run-id {self.run_id} --store {self.store.uri}"
            )
        return found

    def outputs(self, stage: str, read: Callable[[Mapping[str, Any]], Outputs]) -> Outputs:
        """Return a stage's outputs, typed.

        Args:
            stage: its name.
            read: parses them from JSON, such as `Decided.from_dict`.

        Raises:
            StageNotDone: it has not finished in this run.
            ValueMissing: they lack a value that is read.
            ResultUnreadable: they hold a setting or a value that this version does not know.
        """
        return self._typed(self.result(stage), read)

    def _typed(self, result: StageResult, read: Callable[[Mapping[str, Any]], Outputs]) -> Outputs:
        try:
            return read(result.outputs)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise self._unreadable(result.stage, _problem(error)) from error

    def after(self, stage: str) -> dict[str, str]:
        """Return the inputs of a stage that depends on another one: that stage's result.

        Raises:
            StageNotDone: it has not finished.
            SteelTrainingError: the run ended there.
        """
        before = self.result(stage)
        if before.status is not Status.DONE:
            reasons = "; ".join(f"{reason.code}: {reason.message}" for reason in before.reasons)
            raise SteelTrainingError(f"Run {self.run_id} ended at {stage} ({before.status}): {reasons}")
        files = {"files": before.files} if before.files else {}  # an earlier version recorded none, and may continue
        return {"after": stage, "result": before.inputs, "finished_at": before.finished_at, **files}

    def inputs_of(self, stage: str) -> dict[str, str]:
        """Return the inputs of one of the stages in `FOLLOWS`.

        Raises:
            StageNotDone: the stage before it has not finished.
            SteelTrainingError: the run ended there.
        """
        return self.after(FOLLOWS[stage])

    def find_passed(self, stage: str) -> StageResult | None:
        """Return the result of a stage that this run has passed, or `None` where the stage has to be asked.

        A passed stage has nothing left to do, so it need not be imported, with all that it imports. To be asked are stages that
        are not in `FOLLOWS`, those that have not finished, those that ended the run, and those that have yet to clean up.

        Raises:
            StageNotDone: the stage before it has not finished.
            SteelTrainingError: the run ended there.
        """
        if stage not in FOLLOWS:
            return None
        found = self.find_done(stage, self.inputs_of(stage))
        passed = found is not None and found.status is Status.DONE and not self.store.files(self.key(UNFINISHED, stage))
        return found if passed else None

    def clear(self) -> None:
        """Remove all files of the run."""
        self._resolved = None
        self.store.remove_folder(self.key(), first=f"{FIRST}/{RESULT}")

    @contextmanager
    def folder(self, stage: str) -> Iterator[Path]:
        """Yield the finished stage's files as a local folder, read only.

        Raises:
            ObjectNotFound: it has not finished.
            ResultDamaged: its result is not whole.
            StageFilesChanged: they are not the ones that it wrote.
        """
        with self.store.local_folder(self.key(stage)) as folder:
            content = folder / RESULT
            result = self._whole(stage, lambda: json.loads(content.read_bytes() if content.is_file() else b""))
            if result.files:
                where = self.store.location(self.key(stage))
                require_recorded(folder, result.files, besides=RESULT, where=where)
            yield folder

    def perform(
        self,
        stage: str,
        inputs: Mapping[str, Json],
        work: Callable[[Path], StageResult],
    ) -> StageResult:
        """Run a stage, or return its result if the same inputs gave one before.

        Args:
            stage: its name.
            inputs: everything that the result depends on, as JSON values.
            work: called with an empty scratch folder, whose files are committed with the result.

        Raises:
            RunBusy: another process is working on the run.
            LeaseLost: another process has taken over the run meanwhile; nothing was committed.
        """
        digest = digest_of(stage, inputs)
        found = self.find_done(stage, inputs)
        if found is None and self.lease is not None and self.lease.acquire():
            found = self.find_done(stage, inputs)  # the process that had the lease may have finished it
        if found is not None:
            return found
        if stage == FIRST:
            self.clear()  # results from other data must not be mixed with new ones
        started = time.monotonic()
        with scratch_for(stage, SPACE.get(stage, LEAST_SPACE)) as scratch:
            made = work(scratch)
            files = record_files(scratch)
            result = StageResult(
                stage=stage,
                status=made.status,
                reasons=made.reasons,
                outputs=made.outputs,
                inputs=digest,
                seconds=round(time.monotonic() - started, 2),
                finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
                files=files,
            )
            try:
                text = json.dumps(result.as_dict(), indent=2, sort_keys=True, allow_nan=False)
            except ValueError as error:
                raise SteelTrainingError(f"Stage {stage} made a result that is not finite: {error}") from error
            (scratch / RESULT).write_text(text, encoding="utf-8")
            if self.lease is not None:
                self.lease.must_hold()
            self.store.put_folder(scratch, self.key(stage), last=RESULT)
        return result

    def find_done(self, stage: str, inputs: Mapping[str, Json]) -> StageResult | None:
        """Return the stage's result where it was made from the same inputs, or `None`."""
        found = self.find_result(stage)
        return found if found is not None and found.inputs == digest_of(stage, inputs) else None


def _problem(error: Exception) -> str:
    """Return what is wrong with the values of a record, in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return str(error)
