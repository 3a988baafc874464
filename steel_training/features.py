"""Frozen-feature cache: what the frozen layers make of every patch and view, computed once.

While the lower layers do not change, their output for a patch does not either. The head is trained on cached pooled
features, the top blocks on cached activations at the freeze boundary; both see the same views as training from pixels
would. Float16 on disk, memory-mapped, keyed by everything that can change a value, and whole or absent: an entry is
renamed into place when its last batch is written. Entries that nobody used for `KEPT_DAYS` are removed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from steel_training.pixels import read_batches
from steel_training.storage import Storage

log = logging.getLogger(__name__)

BATCH = 64
VIEWS = ("identity", "left_right", "up_down", "half_turn", "darker", "brighter")
"""Deterministic views of a patch. None can hide a defect: no crop, no erasing, no mixing of patches."""

KEPT_DAYS = 14
"""A new dataset version makes new entries, of some GB for a large one: those of the versions before are removed."""

_LAMP = {"darker": 0.85, "brighter": 1.15}


@dataclass(frozen=True)
class PatchSet:
    """The patches of one part, in a fixed order.

    Attributes:
        storage: where the dataset lies.
        paths: files relative to it.
        labels: int, (n,), 0 clean and 1 defective.
        fingerprint: of the dataset version; part of every cache key.
    """

    storage: Storage
    paths: tuple[str, ...]
    labels: np.ndarray
    fingerprint: str

    def __len__(self) -> int:
        return len(self.paths)


def scratch_folder() -> Path:
    """Folder for caches of this machine: `STEEL_TRAINING_SCRATCH`, else the user's cache folder."""
    named = os.environ.get("STEEL_TRAINING_SCRATCH")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "steel-training"


def resize(batch: Any, size: int) -> Any:
    """Brings pixels to the side that the network expects.

    The one definition that training, evaluation and the exported model share.

    Args:
        batch: (n, height, width, 3), uint8 or float, 0-255.
        size: side in pixels.

    Returns:
        float32 tensor, (n, size, size, 3), 0-255.
    """
    import tensorflow as tf

    return tf.image.resize(tf.cast(batch, tf.float32), (size, size), method="bilinear", antialias=True)


def view(batch: Any, name: str) -> Any:
    """Returns one of `VIEWS` of a batch (n, height, width, 3), float32, 0-255."""
    import tensorflow as tf

    if name == "left_right":
        return batch[:, :, ::-1]
    if name == "up_down":
        return batch[:, ::-1]
    if name == "half_turn":
        return batch[:, ::-1, ::-1]
    if name in _LAMP:
        # No patch gets brighter than white: what is cut off there could be the defect.
        brightest = tf.reduce_max(batch, axis=(1, 2, 3), keepdims=True)
        return batch * tf.minimum(_LAMP[name], 255.0 / tf.maximum(brightest, 1.0))
    return batch


class FeatureCache:
    """Computes and keeps arrays of shape (views, patches, …) under a scratch folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or scratch_folder()) / "features"

    def arrays(
        self,
        patches: PatchSet,
        compute: Callable[[Any], Sequence[Any]],
        *,
        key: dict[str, Any],
        size: int,
        views: int = 1,
        dtype: str = "float16",
        progress: Callable[[int, int], None] | None = None,
    ) -> list[np.ndarray]:
        """Returns what `compute` makes of every patch and view, from the cache where it is there.

        Args:
            patches: what to compute for.
            compute: float32 pixels (n, size, size, 3) → one tensor an output, (n, …).
            key: what identifies `compute`, such as the digest of its network; JSON values.
            size: side to which patches are resized.
            views: how many of `VIEWS`.
            dtype: of stored maps and pixels. Vectors (n, channels) stay float32: they are small, and the head divides
                them by how little they vary, which would make much of a rounding error.
            progress: called with patches done and in all.

        Returns:
            One memory-mapped array an output, (views, n, …).
        """
        content = {
            **key,
            "size": size,
            "views": views,
            "dtype": dtype,
            "data": patches.fingerprint,
            "paths": patches.paths,
            "code": _code(),
        }
        entry = self.folder / hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
        if not entry.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._forget_unused()
            staging = Path(tempfile.mkdtemp(dir=self.folder, prefix=".partial-"))
            try:
                self._fill(staging, patches, compute, size, views, dtype, progress)
                _put_in_place(staging, entry)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        os.utime(entry)
        return [np.load(path, mmap_mode="r") for path in sorted(entry.glob("*.npy"))]

    def _forget_unused(self) -> None:
        """Removes entries, and what was left of interrupted fills, that are older than `KEPT_DAYS`.

        A process that still maps such an entry keeps its pages until it lets go of them.
        """
        oldest = time.time() - KEPT_DAYS * 24 * 3600
        for old in self.folder.iterdir():
            try:
                unused = old.stat().st_mtime < oldest
            except FileNotFoundError:  # another process was faster
                continue
            if unused:
                shutil.rmtree(old, ignore_errors=True)

    def _fill(
        self,
        staging: Path,
        patches: PatchSet,
        compute: Callable[[Any], Sequence[Any]],
        size: int,
        views: int,
        dtype: str,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        started = time.monotonic()
        files: list[Any] = []
        done = 0
        for batch in read_batches(patches.storage, patches.paths, BATCH):
            pixels = resize(batch, size)
            for number, name in enumerate(VIEWS[:views]):
                outputs = [np.asarray(output) for output in compute(view(pixels, name))]
                if not files:
                    files = [
                        np.lib.format.open_memmap(
                            staging / f"{index}.npy",
                            "w+",
                            dtype="float32" if output.ndim == 2 else dtype,
                            shape=(views, len(patches), *output.shape[1:]),
                        )
                        for index, output in enumerate(outputs)
                    ]
                for file, output in zip(files, outputs, strict=True):
                    file[number, done : done + len(batch)] = output
            done += len(batch)
            if progress is not None:
                progress(done, len(patches))
        for file in files:
            file.flush()
        seconds = time.monotonic() - started
        log.info("cached %s patches × %s views in %.0f s (%.0f images/s)", done, views, seconds, done * views / seconds)


def _put_in_place(staging: Path, entry: Path) -> None:
    try:
        staging.rename(entry)
    except OSError:
        # Another process filled the same entry meanwhile; both hold the same values.
        if not entry.is_dir():
            raise


@cache
def _code() -> str:
    """SHA-256 over the sources that turn a file into a view."""
    total = hashlib.sha256()
    for name in ("features.py", "pixels.py"):
        total.update(Path(__file__).with_name(name).read_bytes())
    return total.hexdigest()


def network_digest(network: Any) -> str:
    """SHA-256 over a network's graph and weights, for cache keys."""
    total = hashlib.sha256(network.to_json().encode())
    for array in network.get_weights():
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
