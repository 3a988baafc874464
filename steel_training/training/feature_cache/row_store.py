"""The files of one network and one view: rows are appended, and only whole rows are ever seen.

Beside one file of raw rows an output lies `patches`, the digests of the patches in the order of the rows. It is written last:
a row whose digest is not there does not exist, and what a killed writer left behind is cut off by the next.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from steel_training.data.patches import DIGEST

_PATCHES, _FORM = "patches", "form.json"


@dataclass(frozen=True)
class Row:
    """What one patch takes of one output.

    Attributes:
        shape: without the patches.
        dtype: as stored.
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


class RowStore:
    """Reads rows, and appends them. Writers exclude each other by the cache's lock; readers need none.

    Raises:
        FileNotFoundError: it was removed meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.form: list[Row] | None = None
        self.rows: dict[bytes, int] = {}
        self._files: list[IO[bytes]] = []
        self._new: list[bytes] = []
        self.refresh()

    def refresh(self) -> None:
        """Looks which rows are there now."""
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
        """Writes rows; they are seen by others from the next `commit` on.

        Args:
            digests: of the patches, none of them there yet.
            outputs: (n, …), one an output, in the dtypes of the form.
        """
        if not self._files:
            self._open([Row(output.shape[1:], str(output.dtype)) for output in outputs])
        for file, output in zip(self._files, outputs, strict=True):
            file.write(np.ascontiguousarray(output).data)
        for digest in digests:
            self.rows[digest] = len(self.rows)
        self._new += digests

    def commit(self) -> None:
        """Makes what was appended outlive this process and this machine."""
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
        """Lets go of the files; what was not committed is lost."""
        for file in self._files:
            file.close()
        self._files = []

    def arrays(self) -> list[np.ndarray]:
        """Maps the rows that are there: one read-only array (rows, …) an output."""
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
    """What one patch takes of all outputs, bytes."""
    return sum(row.size for row in rows)


def form_of(outputs: Sequence[Any]) -> list[Row]:
    """The form of outputs (n, …)."""
    return [Row(tuple(output.shape[1:]), str(output.dtype)) for output in outputs]
