"""A row store has complete rows only, wherever a write was interrupted."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from write_rows import write_rows

from steel_training.training.feature_cache.arrays import CachedArray
from steel_training.training.feature_cache.row_store import RowStore

pytestmark = pytest.mark.long


def written(row_store: RowStore, numbers: range) -> None:
    maps = np.stack([np.full((2, 3), number, np.float16) for number in numbers])
    row_store.append([number.to_bytes(16, "big") for number in numbers], [maps, maps[:, 0].astype(np.float32)])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.data())
def test_writer_resumes_after_any_truncation(count: int, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        row_store = RowStore(Path(folder, "s"))
        written(row_store, range(count))
        row_store.commit()
        row_store.close()
        digests = Path(folder, "s", "patches")
        digests.write_bytes(digests.read_bytes()[: data.draw(st.integers(0, 16 * count))])
        for name, more in (("0", 40), ("1", 40)):  # rows whose digests were not written any more
            with Path(folder, "s", name).open("ab") as file:
                file.write(bytes(data.draw(st.integers(0, more))))
        again = RowStore(Path(folder, "s"))
        whole = len(again.rows)
        assert whole == digests.stat().st_size // 16
        written(again, range(whole, 8))
        again.commit()
        again.close()
        maps, vectors = RowStore(Path(folder, "s")).arrays()
        assert [int(each) for each in maps[:, 1, 2]] == [int(each) for each in vectors[:, 0]] == list(range(8))


@pytest.fixture(scope="module")
def writer(forks: ForkServerContext) -> Callable[[Path, int], BaseProcess]:
    """Starts a process that appends rows; returns it as soon as it has opened the row store."""

    def start(folder: Path, count: int) -> BaseProcess:
        started = forks.Event()
        process = forks.Process(target=write_rows, args=(folder, count, started))
        process.start()
        assert started.wait(300)
        return process

    return start


def test_killed_writers_leave_complete_rows_only(
    tmp_path: Path, writer: Callable[[Path, int], BaseProcess], wait_until: Callable[..., Any]
) -> None:
    random = np.random.default_rng(0)
    digests = tmp_path / "s" / "patches"
    reached: list[int] = []
    for turn in range(20):
        writing = writer(tmp_path / "s", 1_000_000)
        if turn % 2:  # every other one is killed at its start, wherever that is
            before = digests.stat().st_size if digests.exists() else 0
            wait_until(lambda before=before: digests.exists() and digests.stat().st_size > before, "a row more")
        time.sleep(random.uniform(0.0, 0.05))
        writing.kill()
        writing.join()
        assert writing.exitcode == -signal.SIGKILL
        row_store = RowStore(tmp_path / "s")
        reached.append(len(row_store.rows))
        for array in row_store.arrays():
            for number in range(reached[-1]):
                assert (array[number] == number).all()
    assert reached == sorted(reached)
    assert 0 < reached[-1] < 1_000_000
    count = reached[-1] + 25
    last = writer(tmp_path / "s", count)
    last.join()
    assert last.exitcode == 0
    maps, vectors = RowStore(tmp_path / "s").arrays()
    assert maps[:, 3, 5].tolist() == vectors[:, 7].tolist() == list(range(count))


def test_uncommitted_rows_do_not_exist(tmp_path: Path) -> None:
    row_store = RowStore(tmp_path / "s")
    written(row_store, range(3))
    assert RowStore(tmp_path / "s").rows == {}
    row_store.commit()
    assert list(RowStore(tmp_path / "s").rows.values()) == [0, 1, 2]


def test_rows_of_another_format_are_refused(tmp_path: Path) -> None:
    row_store = RowStore(tmp_path / "s")
    written(row_store, range(3))
    row_store.commit()
    row_store.close()
    with pytest.raises(ValueError, match="holds rows of"):
        RowStore(tmp_path / "s").append([b"x" * 16], [np.zeros((1, 5), np.float32)])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 9), st.data())
def test_cached_array_equals_numpy_indexing(augmentations: int, count: int, data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    stored = [random.normal(size=(count + 3, 2)).astype(np.float32) for _ in range(augmentations)]
    rows = [random.permutation(count + 3)[:count] for _ in range(augmentations)]
    array = CachedArray(stored, rows)
    whole = np.stack([each[of] for each, of in zip(stored, rows, strict=True)])
    assert array.shape == whole.shape
    assert np.array_equal(np.asarray(array), whole)
    asked = random.integers(augmentations, size=7), random.integers(count, size=7)
    assert np.array_equal(array.take(*asked), whole[asked])
    assert np.array_equal(np.concatenate(list(array.batches(3))), whole.reshape(-1, 2))
