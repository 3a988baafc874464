"""Where the training of a stage is kept in the store while it is not finished."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from steel_training.storage import ObjectNotFound, Storage
from steel_training.training import cluster

OBJECT = "training.npz"


@dataclass(frozen=True)
class Kept:
    """A training as it stood after an epoch.

    Attributes:
        epoch: how many were done.
        over: training had stopped early.
        facts: JSON values: callbacks, history, random state.
        arrays: variables, best weights and files, by name.
    """

    epoch: int
    over: bool
    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]


class Unfinished:
    """The place in the store where the training of one stage of one run is kept while it is not finished."""

    def __init__(self, store: Storage, folder: str, inputs: str) -> None:
        """Nothing is read or written yet.

        Args:
            store: of the run.
            folder: key of a folder that holds nothing else.
            inputs: hash of everything that the stage is made from.
        """
        self.store, self.folder, self.inputs = store, folder, inputs

    def read(self) -> Kept | None:
        """Returns what is kept; `None` where nothing is, or it was made from other inputs."""
        try:
            data = self.store.read(f"{self.folder}/{OBJECT}")
        except ObjectNotFound:
            return None
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = dict(file)
        facts = json.loads(arrays.pop("facts").tobytes())
        if facts.pop("inputs") != self.inputs:
            return None
        return Kept(facts.pop("epoch"), facts.pop("over"), facts, arrays)

    def keep(self, kept: Kept) -> None:
        """Keeps a training in the place of what was kept before.

        Raises:
            StorageError: the store could not be written.
        """
        facts = {**kept.facts, "epoch": kept.epoch, "over": kept.over, "inputs": self.inputs}
        file = io.BytesIO()
        arrays: dict[str, Any] = {**kept.arrays, "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}
        np.savez(file, **arrays)
        self.store.write(f"{self.folder}/{OBJECT}", file.getvalue())

    def remove(self) -> None:
        """Forgets it: the stage is done. Of several workers, the chief does so."""
        if cluster.is_chief():
            self.store.remove_folder(self.folder, first=OBJECT)
