"""Resumption: an interrupted training continues after its last saved epoch, with the same result as without interruption.

After an epoch, everything that the next one depends on is saved as one object in the store: weights and their running mean, the
optimizer with its step and learning rate, the state of the callbacks (best score, patience), the order of the patches, the state of
the random number generators, the weights of the best epoch, and the monitoring files. The object is written atomically and records
its inputs: with another configuration, dataset or code version, training starts over.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from steel_training.storage import StorageError
from steel_training.training import cluster
from steel_training.training.cached_batches import CachedBatches
from steel_training.training.monitoring import WATCHED
from steel_training.training.unfinished import Facts, Kept, Unfinished

log = logging.getLogger(__name__)

SHARE = 0.05
"""Maximum share of the training time that saving may take: if epochs are short, not every one is saved."""

_REMEMBERED = ("best", "wait", "best_epoch", "stopped_epoch", "cooldown_counter", "_ema_weights_in_model")
"""State that Keras' callbacks carry over from epoch to epoch."""


class Resumption:
    """Saves the state of one training, and resumes from it; `first` is the number of epochs that are done.

    For a training with several workers the chief saves the state, and all of them resume from it.
    """

    def __init__(
        self,
        unfinished: Unfinished | None,
        *,
        stage: str,
        network: keras.Model,
        batches: CachedBatches,
        callbacks: Sequence[keras.callbacks.Callback],
        history: dict[str, list[float]],
        best: Path,
        logs: Path | None,
    ) -> None:
        """Read the saved state, and restore it if it fits the network.

        Args:
            unfinished: where the state is saved; `None` to save nothing.
            stage: shown in the log.
            network: compiled, its optimizer built.
            batches: of training, with `order`, `augmentation` and `random`.
            callbacks: of the training, in order.
            history: that they fill.
            best: file for the weights of the best epoch.
            logs: folder with the monitoring files.
        """
        self.unfinished, self.stage, self.network, self.batches = unfinished, stage, network, batches
        self.callbacks, self.history, self.best, self.logs = list(callbacks), history, best, logs
        self.kept = unfinished.read() if unfinished is not None else None
        if self.kept is not None and not self._fits(self.kept):
            log.warning(
                "%s  the saved state of an interrupted training is of another network; training starts over", stage
            )
            self.kept = None
        if self.kept is not None:
            log.info("%s  resumes after epoch %d, where it was interrupted", stage, self.kept.epoch)
            self._restore_network(self.kept)
        self._kept_at, self._cost = time.monotonic(), 0.0

    @property
    def first(self) -> int:
        """Number of epochs that are done."""
        return self.kept.epoch if self.kept is not None else 0

    @property
    def over(self) -> bool:
        """Whether training had already stopped early."""
        return self.kept is not None and self.kept.over

    def callback(self) -> keras.callbacks.Callback:
        """Return the callback to put last: it restores the state of the others, which they reset when training begins, and saves epochs."""
        outer = self

        class SaveAndResume(keras.callbacks.Callback):  # type: ignore[misc]
            def on_train_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras passes it by name
                if outer.kept is not None:
                    outer._restore_callbacks(outer.kept)

            def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras passes it by name
                if outer.kept is not None and epoch == outer.first:
                    outer._restore_order(outer.kept)

            def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras passes it by name
                outer._save_if_due(epoch + 1)

        return SaveAndResume()

    def _save_if_due(self, epoch: int) -> None:
        trained = time.monotonic() - self._kept_at
        if self.unfinished is None or not cluster.is_chief() or trained * SHARE < self._cost:
            return
        started = time.monotonic()
        try:
            self.unfinished.keep(self._now(epoch))
        except StorageError as error:
            log.warning(
                "%s  the state after epoch %d cannot be saved; training continues. %s", self.stage, epoch, error
            )
        self._kept_at = time.monotonic()
        self._cost = self._kept_at - started

    def _now(self, epoch: int) -> Kept:
        facts: Facts = {
            "callbacks": [_remembered(callback) for callback in self.callbacks],
            "history": self.history,
            "python": random.getstate(),
            "order": self.batches.random.bit_generator.state,
        }
        arrays = {f"variable/{number}": np.asarray(each) for number, each in enumerate(self._variables())}
        arrays |= {"order": self.batches.order, "view": self.batches.augmentation}
        arrays["best"] = np.frombuffer(self.best.read_bytes(), np.uint8)
        for file in self._watched():
            arrays[f"file/{file.relative_to(self.logs or file)}"] = np.frombuffer(file.read_bytes(), np.uint8)
        return Kept(epoch, bool(self.network.stop_training), facts, arrays)

    def _variables(self) -> list[keras.Variable]:
        # Metrics are reset each epoch; and with several workers, reading one is a collective operation.
        counted = {id(each) for each in self.network.metrics_variables}
        return [each for each in self.network.variables if id(each) not in counted] + list(
            self.network.optimizer.variables
        )

    def _watched(self) -> list[Path]:
        if self.logs is None:
            return []
        files = [file for file in sorted(self.logs.rglob("*")) if file.is_file()]
        return [file for file in files if file.relative_to(self.logs).parts[0] in WATCHED]

    def _fits(self, kept: Kept) -> bool:
        here = {f"variable/{number}": tuple(each.shape) for number, each in enumerate(self._variables())}
        there = {name: array.shape for name, array in kept.arrays.items() if name.startswith("variable/")}
        return here == there and len(kept.facts["callbacks"]) == len(self.callbacks)

    def _restore_network(self, kept: Kept) -> None:
        for number, variable in enumerate(self._variables()):
            variable.assign(kept.arrays[f"variable/{number}"])
        self.history.update(kept.facts["history"])
        self.best.write_bytes(kept.arrays["best"].tobytes())
        for name, content in kept.arrays.items():
            if self.logs is not None and name.startswith("file/"):
                file = self.logs / name.removeprefix("file/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.tobytes())

    def _restore_callbacks(self, kept: Kept) -> None:
        for callback, remembered in zip(self.callbacks, kept.facts["callbacks"], strict=True):
            vars(callback).update(remembered)

    def _restore_order(self, kept: Kept) -> None:
        version, words, gauss = kept.facts["python"]
        random.setstate((version, tuple(words), gauss))
        self.batches.random.bit_generator.state = kept.facts["order"]
        self.batches.order, self.batches.augmentation = kept.arrays["order"], kept.arrays["view"]


def _remembered(callback: keras.callbacks.Callback) -> dict[str, float | None]:
    values = {name: vars(callback)[name] for name in _REMEMBERED if name in vars(callback)}
    return {
        name: value if value is None or isinstance(value, bool | int) else float(value)
        for name, value in values.items()
    }
