"""Statistics and hashes of every patch: the profile that validation, the leak probes and the report use.

Small datasets are measured in this process; from `_PROCESSES_FROM` patches on, worker processes pay off. Apart from the
resulting table, memory does not grow with the dataset: a worker holds one chunk of paths and one image per thread, and only
a few chunks are in flight.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd

from steel_training.data.capture_traces import Signature
from steel_training.data.measurements import MISSING_FILE, OTHER_FORM, Measures, measure_files, measure_files_at
from steel_training.errors import SteelTrainingError
from steel_training.storage import Storage

_DTYPES = {
    **dict.fromkeys(Measures._fields, "string"),
    **dict.fromkeys(("bytes", "width", "height"), "Int64"),
    **dict.fromkeys(("brightness", "contrast", "sharpness", "dark", "bright", "packing", "tint"), "float64"),
    **dict.fromkeys(Signature._fields, "float64"),
    "anchors": "object",
}
_CHUNK, _CHUNK_OF_A_THREAD = 256, 32
# Starting workers takes about a second, in which this process measures 500 patches.
_PROCESSES_FROM = 1_000
_CHUNKS_AHEAD = 3
_SECONDS_BETWEEN_REPORTS = 1.0

_Paths = list[str | None]


class ProfileFailed(SteelTrainingError):
    """A worker process died; no profile is returned."""


def profile_patches(
    dataset_storage: Storage,
    patches: pd.DataFrame,
    *,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """Measure every patch. Bad rows and files become values, never errors: validation judges them.

    Args:
        dataset_storage: root of the paths. A path that points outside it is not opened.
        patches: one row per patch; `path` may be missing, null or wrong.
        progress: called about once per second, and at the end, with the number of patches done and in total.
        workers: number of processes; `None` for one per core.

    Returns:
        `patches` with its index, and the columns of `Measures` and `modified` (seconds since 1970, from the storage), which
        replace columns of the same name.

    Raises:
        StorageError: the storage itself cannot be reached.
        ProfileFailed: a worker process was killed, or could not start because the calling script starts its work
            without `if __name__ == "__main__"`.

    Example:
        >>> profile = profile_patches(open_storage("strips/"), manifest)  # doctest: +SKIP
        >>> profile.loc[profile["decode_error"] != "", ["patch_id", "decode_error"]]  # doctest: +SKIP
    """
    paths: _Paths = [None] * len(patches)
    if "path" in patches:
        paths = [None if pd.isna(path) else str(path) for path in patches["path"]]
    workers = workers or len(os.sched_getaffinity(0))
    tables = list(_measured(dataset_storage, paths, workers, progress))
    measured = pd.concat(tables, ignore_index=True) if tables else _table([])
    measured.index = patches.index
    written = {entry.key: entry.modified for entry in dataset_storage.contents()}
    missing = (measured["path_problem"] == MISSING_FILE).to_numpy(bool)
    if missing.any():
        # A Mac writes 'ü' as two characters, most tables as one: both look alike.
        there = {unicodedata.normalize("NFC", key) for key in written}
        alike = np.array([unicodedata.normalize("NFC", path or "") in there for path in paths])
        measured["path_problem"] = measured["path_problem"].mask(missing & alike, OTHER_FORM)
    measured["modified"] = pd.Series([written.get(path or "") for path in paths], patches.index, dtype="float64")
    return pd.concat([patches.drop(columns=list(measured), errors="ignore"), measured], axis=1)


def _measured(
    storage: Storage, paths: _Paths, workers: int, progress: Callable[[int, int], None] | None
) -> Iterator[pd.DataFrame]:
    """Yield one table per chunk, in order."""
    pool: Executor
    work: Callable[[_Paths], list[Measures]]
    if len(paths) >= _PROCESSES_FROM and workers > 1:
        # Spawned, not forked: a fork copies locks that other threads may hold.
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
        work, size = partial(measure_files_at, storage.uri), _CHUNK
    else:
        # Many small NumPy calls: two threads that share one interpreter lock are slower than one.
        pool = ThreadPoolExecutor(1)
        work, size = partial(measure_files, storage), _CHUNK_OF_A_THREAD
    chunks = (paths[start : start + size] for start in range(0, len(paths), size))
    done, reported = 0, time.monotonic()
    try:
        for rows in _in_order(pool, work, chunks, ahead=_CHUNKS_AHEAD * workers):
            done += len(rows)
            if progress is not None and (done == len(paths) or time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS):
                reported = time.monotonic()
                progress(done, len(paths))
            yield _table(rows)
    except BrokenProcessPool as error:
        raise ProfileFailed(
            f"A worker process died after {done:,} of {len(paths):,} patches. If memory ran out, give the machine more, or "
            "the command fewer cores (taskset -c 0 …), and run the stage again. A script that calls this must guard its "
            "start with: if __name__ == '__main__'."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    pool: Executor, work: Callable[[_Paths], list[Measures]], chunks: Iterator[_Paths], *, ahead: int
) -> Iterator[list[Measures]]:
    waiting = deque(pool.submit(work, chunk) for chunk in islice(chunks, ahead))
    while waiting:
        yield waiting.popleft().result()
        waiting.extend(pool.submit(work, chunk) for chunk in islice(chunks, 1))


def _table(rows: list[Measures]) -> pd.DataFrame:
    columns = zip(*rows, strict=True) if rows else ((),) * len(_DTYPES)
    return pd.DataFrame(
        {
            name: pd.Series(list(values), dtype=dtype)
            for (name, dtype), values in zip(_DTYPES.items(), columns, strict=True)
        }
    )
