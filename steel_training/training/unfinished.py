"""Storage of the state of an unfinished training."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from steel_training.storage import ObjectNotFound, Storage
from steel_training.storage.json_types import Json
from steel_training.training import cluster

OBJECT = "training.npz"


class Facts(TypedDict):
    """State of a training that JSON can hold.

    Attributes:
        callbacks: what each carries over to the next epoch.
        history: values per epoch for every metric.
        python: state of `random`.
        order: state of the generator that shuffles the patches.
    """

    callbacks: list[dict[str, float | None]]
    history: dict[str, list[float]]
    python: tuple[int, tuple[int, ...], float | None]
    order: Mapping[str, Json]


@dataclass(frozen=True)
class Kept:
    """State of a training after an epoch.

    Attributes:
        epoch: number of epochs done.
        over: whether training had stopped early.
        facts: the values that are not arrays.
        arrays: variables, best weights and files, by name.
    """

    epoch: int
    over: bool
    facts: Facts
    arrays: dict[str, np.ndarray]


class Unfinished:
    """The saved state of the training of one stage of one run, in the store, until the stage is finished."""

    def __init__(self, store: Storage, folder: str, inputs: str) -> None:
        """Remember the location; nothing is read or written yet.

        Args:
            store: of the run.
            folder: key of a folder for this state only.
            inputs: hash of all inputs of the stage.
        """
        self.store, self.folder, self.inputs = store, folder, inputs

    def read(self) -> Kept | None:
        """Return the saved state; `None` if there is none, or it is from other inputs."""
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
        """Save a state, replacing the previous one.

        Raises:
            StorageError: the store could not be written.
        """
        facts = {**kept.facts, "epoch": kept.epoch, "over": kept.over, "inputs": self.inputs}
        file = io.BytesIO()
        arrays: dict[str, Any] = {**kept.arrays, "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}
        np.savez(file, **arrays)
        self.store.write(f"{self.folder}/{OBJECT}", file.getvalue())

    def remove(self) -> None:
        """Delete the saved state: the stage is done. With several workers, only the chief does so."""
        if cluster.is_chief():
            self.store.remove_folder(self.folder, first=OBJECT)
