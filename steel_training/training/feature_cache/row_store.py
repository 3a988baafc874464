"""The files of one network and one augmentation: append-only rows, of which readers see complete ones only.

There is one file of raw rows per output, and `patches`, the digests of the patches in row order. That file is written last: a
row without a digest does not exist, and the next writer truncates what a killed one left behind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from steel_training.data.patches import DIGEST

_PATCHES, _FORM = "patches", "form.json"


@dataclass(frozen=True)
class Row:
    """Format of the row of one patch in one output.

    Attributes:
        shape: without the patch axis.
        dtype: as stored.
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Size of the row, bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


class RowStore:
    """Reads and appends rows. Writers are serialised by the lock of the cache; readers need none.

    Raises:
        FileNotFoundError: the folder was removed meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.form: list[Row] | None = None
        self.rows: dict[bytes, int] = {}
        self._files: list[IO[bytes]] = []
        self._new: list[bytes] = []
        self.refresh()

    def refresh(self) -> None:
        """Read which rows exist now."""
        form = self.folder / _FORM
        if not form.exists():
            self.form, self.rows = None, {}
            return
        self.form = [Row(tuple(each["shape"]), each["dtype"]) for each in json.loads(form.read_text())]
        content = (self.folder / _PATCHES).read_bytes() if (self.folder / _PATCHES).exists() else b""
        whole = len(content) // DIGEST
        self.rows = {content[at * DIGEST : (at + 1) * DIGEST]: at for at in range(whole)}

    def __contains__(self, digest: bytes) -> bool:
        return digest in self.rows

    def append(self, digests: Sequence[bytes], outputs: Sequence[np.ndarray]) -> None:
        """Append rows; others see them after the next `commit`.

        Args:
            digests: of the patches, none of them stored yet.
            outputs: (n, …), one per output, in the dtypes of the form.
        """
        if not self._files:
            self._open([Row(output.shape[1:], str(output.dtype)) for output in outputs])
        for file, output in zip(self._files, outputs, strict=True):
            file.write(np.ascontiguousarray(output).data)
        for digest in digests:
            self.rows[digest] = len(self.rows)
        self._new += digests

    def commit(self) -> None:
        """Make appended rows durable and visible to others."""
        if not self._new:
            return
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        with (self.folder / _PATCHES).open("ab") as file:
            file.write(b"".join(self._new))
            file.flush()
            os.fsync(file.fileno())
        self._new = []

    def close(self) -> None:
        """Close the files; rows that were not committed are lost."""
        for file in self._files:
            file.close()
        self._files = []

    def arrays(self) -> list[np.ndarray]:
        """Memory-map the stored rows: one read-only array (rows, …) per output."""
        count = len(self.rows)
        return [
            np.memmap(self.folder / str(number), dtype=row.dtype, mode="r", shape=(count, *row.shape))
            if count and row.size
            else np.zeros((count, *row.shape), row.dtype)
            for number, row in enumerate(self.form or [])
        ]

    def _open(self, form: list[Row]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.form is None:
            staged = self.folder / f"{_FORM}.part"
            staged.write_text(json.dumps([{"shape": row.shape, "dtype": row.dtype} for row in form]))
            staged.replace(self.folder / _FORM)
            self.form = form
        elif self.form != form:
            raise ValueError(f"{self.folder} holds rows of {self.form}, not {form}")
        count = len(self.rows)
        _cut(self.folder / _PATCHES, count * DIGEST)
        for number, row in enumerate(form):
            _cut(self.folder / str(number), count * row.size)
            self._files.append((self.folder / str(number)).open("ab"))


def _cut(path: Path, size: int) -> None:
    with path.open("ab") as file:
        file.truncate(size)


def bytes_of(rows: Sequence[Row]) -> int:
    """Return the size of all outputs of one patch, bytes."""
    return sum(row.size for row in rows)


def form_of(outputs: Sequence[np.ndarray]) -> list[Row]:
    """Return the row format of outputs (n, …)."""
    return [Row(tuple(output.shape[1:]), str(output.dtype)) for output in outputs]
