"""The work of an ingest that was killed: patches that were encoded are found again when it is repeated.

A patch is kept under the digest of its pixels. So nothing of an earlier attempt can be wrong, whatever changed since: every image is read and every
label is decided anew, and only files of the very same pixels are not made a second time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, get_ident

import numpy as np
from PIL import Image

from steel_training.data.patches import pixel_digest
from steel_training.storage.folder import link_or_copy
from steel_training.storage.scratch import remove_unused, scratch_folder, sole_writer

_UPLOADING = "uploading"


@dataclass(frozen=True)
class Unfinished:
    """Where a dataset is put together before it is published.

    Attributes:
        folder: of the dataset; empty at the beginning.
        kept: of encoded patches, by digest; `None` where nothing is kept.
    """

    folder: Path
    kept: Path | None = None
    _keeping: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def was_uploading(self) -> bool:
        """Whether an earlier attempt was killed while it published: what it left there is not complete."""
        return self.kept is not None and self.kept.with_name(_UPLOADING).exists()

    def begin_upload(self) -> None:
        """Remember that files appear at the destination from now on."""
        if self.kept is not None:
            self.kept.with_name(_UPLOADING).touch()

    def write(self, pixels: np.ndarray, target: Path) -> None:
        """Write a patch as PNG, or link the file with the same pixels; several threads may do so at once."""
        if self.kept is None:
            _encode(pixels, target)
            return
        digest = pixel_digest(pixels).hex()
        kept = self.kept / digest[:2] / digest
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            # Two threads may have patches of the same pixels.
            partial = kept.with_name(f"{digest}.{get_ident()}.part")
            _encode(pixels, partial)
            with self._keeping:
                # The first of them is kept: a file that is replaced while it is linked to is "not found".
                if kept.exists():
                    partial.unlink()
                else:
                    partial.rename(kept)
        target.unlink(missing_ok=True)
        link_or_copy(kept, target)


@contextlib.contextmanager
def unfinished(out: str) -> Iterator[Unfinished]:
    """Yield where the dataset for a destination is put together; if the process is killed, its encoded patches stay for 14 days.

    A second process with the same destination works in a folder of its own, and keeps nothing.
    """
    every = scratch_folder() / "ingest"
    # A machine that lost power may have lost the content of files, not their names; it has another ID then.
    known_as = f"{out if '://' in out else Path(out).absolute()}\0{_boot()}"
    entry = every / hashlib.blake2b(known_as.encode(), digest_size=8).hexdigest()
    with sole_writer(entry, wait=False) as alone:
        if not alone:
            with tempfile.TemporaryDirectory(prefix="steel-training-") as folder:
                yield Unfinished(Path(folder))
            return
        entry.mkdir(exist_ok=True)
        os.utime(entry)
        remove_unused(every)
        shutil.rmtree(entry / "dataset", ignore_errors=True)
        (entry / "dataset").mkdir()
        try:
            yield Unfinished(entry / "dataset", entry / "kept")
        except KeyboardInterrupt:
            raise
        except BaseException:
            shutil.rmtree(entry, ignore_errors=True)
            raise
        shutil.rmtree(entry, ignore_errors=True)


def _encode(pixels: np.ndarray, target: Path) -> None:
    Image.fromarray(pixels).save(target, format="PNG", compress_level=1)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
