"""Features of every patch and augmentation: read from the cache, or computed if missing."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from steel_training.data import images as pixels_module
from steel_training.data.images import read_batches
from steel_training.data.patches import DIGEST, PatchSet, pixel_digest
from steel_training.storage.json_types import Json
from steel_training.storage.scratch import ScratchFull, free_space, remove_unused, scratch_folder, sole_writer
from steel_training.training import preprocessing as augmentations_module
from steel_training.training.feature_cache.arrays import CachedArray
from steel_training.training.feature_cache.row_store import RowStore, bytes_of, form_of
from steel_training.training.preprocessing import AUGMENTATIONS, augment, resize

log = logging.getLogger(__name__)

BATCH = 64
# Maximum number of patches lost when a process is killed.
_COMMITTED_EVERY = 32 * BATCH

Compute = Callable[[tf.Tensor], Sequence[np.ndarray | tf.Tensor]]
"""float32 pixels (n, size, size, 3) → one tensor (n, …) per output; the values of a patch do not depend on the others."""

Progress = Callable[[int, int], None]


class FeatureCache:
    """Computes and stores network outputs of patches, in a scratch folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or scratch_folder()) / "features"

    def arrays(
        self,
        patches: PatchSet,
        compute: Compute,
        *,
        key: Mapping[str, Json],
        size: int,
        augmentations: int = 1,
        dtype: str = "float16",
        progress: Progress | None = None,
    ) -> list[CachedArray]:
        """Return the outputs of `compute` for every patch and augmentation, computing only the missing ones.

        If two processes request the same at once, one computes and the other waits for it.

        Args:
            patches: to compute for.
            compute: the network.
            key: identifies `compute`, such as the digest of its network; JSON values.
            size: side in pixels to which patches are resized.
            augmentations: number of `AUGMENTATIONS` to compute, the first ones.
            dtype: of stored maps and pixels. Vectors (n, channels) stay float32: they are small, and the head standardises
                them, which would amplify rounding errors.
            progress: called with the number of patches done and in total.

        Returns:
            One array per output, (augmentations, n, …).

        Raises:
            ImageUnreadable: a patch cannot be decoded.
            ScratchFull: there is not enough space on the scratch disk.
        """
        names = AUGMENTATIONS[:augmentations]
        content = {**key, "size": size, "dtype": dtype, "code": _code()}
        entry = self.folder / hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
        known = entry / "parts" / patches.identity()
        with sole_writer(entry):
            if not entry.exists():
                remove_unused(self.folder)
            (entry / "parts").mkdir(parents=True, exist_ok=True)
            # To the nanosecond: the kernel's own clock ticks every few milliseconds, and equal times would evict by name.
            os.utime(entry, ns=(time.time_ns(), time.time_ns()))
            row_stores = [RowStore(entry / name) for name in names]
            digests = _read_digests(known, len(patches))
            if digests is None or any(digest not in row_store for row_store in row_stores for digest in digests):
                try:
                    digests = _Filling(self.folder, entry, row_stores, compute, size, dtype).fill(patches, progress)
                except ScratchFull as full:
                    if not any(row_store.rows for row_store in map(RowStore, (entry / name for name in AUGMENTATIONS))):
                        raise
                    log.warning(
                        "%s Cached features of other datasets are deleted now, and these are computed again.", full
                    )
                    shutil.rmtree(entry)
                    (entry / "parts").mkdir(parents=True)
                    row_stores = [RowStore(entry / name) for name in names]
                    digests = _Filling(self.folder, entry, row_stores, compute, size, dtype).fill(patches, progress)
                staged = known.with_suffix(".part")
                staged.write_bytes(b"".join(digests))
                staged.replace(known)
            stored = [row_store.arrays() for row_store in row_stores]
        rows = [np.array([row_store.rows[digest] for digest in digests], np.int64) for row_store in row_stores]
        return [CachedArray(of_views, rows) for of_views in zip(*stored, strict=True)]


class _Filling:
    """One pass over the patches of a split that appends the missing rows to the row stores."""

    def __init__(
        self, folder: Path, entry: Path, row_stores: list[RowStore], compute: Compute, size: int, dtype: str
    ) -> None:
        self.folder, self.entry, self.row_stores = folder, entry, row_stores
        self.compute, self.size, self.dtype = compute, size, dtype
        self.computed = self.needed = 0
        self.has_space = False

    def fill(self, patches: PatchSet, progress: Progress | None) -> list[bytes]:
        """Return the digests of all patches, in order."""
        started = time.monotonic()
        digests: list[bytes] = []
        try:
            with ExitStack() as closing:
                for row_store in self.row_stores:
                    closing.callback(row_store.close)
                for done, new in self._lacking(patches, digests):
                    if new:
                        self._append(new, len(patches) - done + len(new))
                    if progress is not None:
                        progress(done, len(patches))
                for row_store in self.row_stores:
                    row_store.commit()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise ScratchFull(
                f"The disk of {self.folder} is full ({error.strerror}): the features need {self.needed / 1e6:,.1f} MB there in all, and "
                f"{shutil.disk_usage(self.folder).free / 1e6:,.1f} MB are free. Make room there, or point STEEL_TRAINING_SCRATCH at a larger disk."
            ) from None
        seconds = time.monotonic() - started
        log.info(
            "features of %s patches × %s augmentations: %s computed in %.0f s (%.0f images/s), the rest were cached",
            len(patches), len(self.row_stores), self.computed, seconds, len(patches) * len(self.row_stores) / seconds,
        )  # fmt: skip
        return digests

    def _lacking(self, patches: PatchSet, digests: list[bytes]) -> Iterator[tuple[int, dict[bytes, np.ndarray]]]:
        """Yield the number of patches read so far, and the pixels of whole batches of missing ones by digest."""
        new: dict[bytes, np.ndarray] = {}
        for batch in read_batches(patches.storage, patches.paths, BATCH):
            for pixels in batch:
                digest = pixel_digest(pixels)
                digests.append(digest)
                if any(digest not in row_store for row_store in self.row_stores):
                    new[digest] = pixels
            last = len(digests) == len(patches)
            # Full batches as long as possible: networks are fastest with them, and compiled for one size.
            taken = len(new) if last else len(new) // BATCH * BATCH
            ready = {digest: new.pop(digest) for digest in list(new)[:taken]}
            yield len(digests), ready

    def _append(self, new: dict[bytes, np.ndarray], remaining: int) -> None:
        names = list(new)
        for start in range(0, len(names), BATCH):
            some = names[start : start + BATCH]
            pixels = resize(np.stack([new[digest] for digest in some]), self.size)
            for row_store in self.row_stores:
                lacking = [at for at, digest in enumerate(some) if digest not in row_store]
                if not lacking:
                    continue
                outputs = [
                    self._stored(output)[lacking] for output in self.compute(augment(pixels, row_store.folder.name))
                ]
                if not self.has_space:
                    self._free_space(remaining * len(self.row_stores) * bytes_of(form_of(outputs)))
                row_store.append([some[at] for at in lacking], outputs)
            self.computed += len(some)
            if self.computed % _COMMITTED_EVERY == 0:
                for row_store in self.row_stores:
                    row_store.commit()

    def _stored(self, output: np.ndarray | tf.Tensor) -> np.ndarray:
        return np.asarray(output).astype("float32" if len(output.shape) == 2 else self.dtype, copy=False)

    def _free_space(self, needed: int) -> None:
        self.needed = needed
        free_space(self.folder, needed, keeping=self.entry)
        self.has_space = True


def _read_digests(known: Path, count: int) -> list[bytes] | None:
    """Return the digests of the patches of a split if they were computed before, else `None`."""
    if not known.exists():
        return None
    content = known.read_bytes()
    return [content[at * DIGEST : (at + 1) * DIGEST] for at in range(count)] if len(content) == count * DIGEST else None


@cache
def _code() -> str:
    """SHA-256 over the source code that turns a file into an augmented image."""
    total = hashlib.sha256()
    for module in (augmentations_module, pixels_module):
        total.update(Path(str(module.__file__)).read_bytes())
    return total.hexdigest()


def network_digest(network: keras.Model) -> str:
    """Return the SHA-256 over graph and weights of a network, for cache keys.

    Names of layers do not count: Keras numbers them through the process, so a network that is built twice has others.
    """
    graph = json.loads(network.to_json())
    place = {layer["config"]["name"]: f"layer {number}" for number, layer in enumerate(graph["config"]["layers"])}
    total = hashlib.sha256(json.dumps(_renamed(graph, place), sort_keys=True).encode())
    for array in network.get_weights():
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _renamed(value: Json, names: Mapping[str, str]) -> Json:
    """Return JSON with every text that is one of the names replaced."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if isinstance(value, dict):
        return {key: _renamed(each, names) for key, each in value.items()}
    return value
