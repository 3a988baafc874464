"""A training that was broken off goes on after its last kept epoch, and ends as if nothing had happened.

After an epoch everything that the next one depends on is kept as one object of the store: weights and their running mean, the
optimizer with its step and rate, what the callbacks remember (best score, patience), the order of the patches still to come and the
state of the random numbers, the weights of the best epoch, and the files that a person watches. The object appears whole or not at all,
and says what it was made from: another configuration, dataset or version of the code begins anew.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from steel_training.storage import StorageError
from steel_training.training import cluster
from steel_training.training.monitoring import WATCHED
from steel_training.training.unfinished import Kept, Unfinished

log = logging.getLogger(__name__)


SHARE = 0.05
"""Of the time of training, what keeping it may take: where an epoch is short, not every one is kept."""

_REMEMBERED = ("best", "wait", "best_epoch", "stopped_epoch", "cooldown_counter", "_ema_weights_in_model")
"""What Keras' callbacks know of the epochs before; the others begin each epoch anew."""


class Resumption:
    """Keeps one training, and lets it go on from what was kept; in it, `first` is the number of epochs that are done.

    A training of several workers is kept by the chief, and all of them go on from there.
    """

    def __init__(
        self,
        unfinished: Unfinished | None,
        *,
        stage: str,
        network: Any,
        batches: Any,
        callbacks: Sequence[Any],
        history: dict[str, list[float]],
        best: Path,
        logs: Path | None,
    ) -> None:
        """Reads what was kept, and takes it up where it fits.

        Args:
            unfinished: where; `None` keeps nothing.
            stage: shown in the log.
            network: compiled, its optimizer built.
            batches: of training, with `order`, `view` and `random`.
            callbacks: of the training, in order.
            history: that they fill.
            best: file for the weights of the best epoch.
            logs: folder with the files that a person watches.
        """
        self.unfinished, self.stage, self.network, self.batches = unfinished, stage, network, batches
        self.callbacks, self.history, self.best, self.logs = list(callbacks), history, best, logs
        self.kept = unfinished.read() if unfinished is not None else None
        if self.kept is not None and not self._fits(self.kept):
            log.warning(
                "%s  what was kept of a training that was broken off is another network's; it begins anew", stage
            )
            self.kept = None
        if self.kept is not None:
            log.info("%s  goes on after epoch %d, where it was broken off", stage, self.kept.epoch)
            self._take_up_network(self.kept)
        self._kept_at, self._cost = time.monotonic(), 0.0

    @property
    def first(self) -> int:
        """How many epochs are done."""
        return self.kept.epoch if self.kept is not None else 0

    @property
    def over(self) -> bool:
        """Whether there is no epoch left to do, whatever number was planned."""
        return self.kept is not None and self.kept.over

    def callback(self) -> Any:
        """Returns the callback that goes last: it takes up what others have forgotten as training began, and keeps epochs."""
        outer = self

        class KeepAndGoOn(keras.callbacks.Callback):  # type: ignore[misc]
            def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it by name
                if outer.kept is not None:
                    outer._take_up_callbacks(outer.kept)

            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it by name
                if outer.kept is not None and epoch == outer.first:
                    outer._take_up_order(outer.kept)

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it by name
                outer._keep_where_due(epoch + 1)

        return KeepAndGoOn()

    def _keep_where_due(self, epoch: int) -> None:
        trained = time.monotonic() - self._kept_at
        if self.unfinished is None or not cluster.is_chief() or trained * SHARE < self._cost:
            return
        started = time.monotonic()
        try:
            self.unfinished.keep(self._now(epoch))
        except StorageError as error:
            log.warning("%s  epoch %d cannot be kept; training goes on. %s", self.stage, epoch, error)
        self._kept_at = time.monotonic()
        self._cost = self._kept_at - started

    def _now(self, epoch: int) -> Kept:
        facts = {
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

    def _variables(self) -> list[Any]:
        # Metrics begin each epoch anew; and of several workers, all would have to read one together.
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

    def _take_up_network(self, kept: Kept) -> None:
        for number, variable in enumerate(self._variables()):
            variable.assign(kept.arrays[f"variable/{number}"])
        self.history.update(kept.facts["history"])
        self.best.write_bytes(kept.arrays["best"].tobytes())
        for name, content in kept.arrays.items():
            if self.logs is not None and name.startswith("file/"):
                file = self.logs / name.removeprefix("file/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.tobytes())

    def _take_up_callbacks(self, kept: Kept) -> None:
        for callback, remembered in zip(self.callbacks, kept.facts["callbacks"], strict=True):
            vars(callback).update(remembered)

    def _take_up_order(self, kept: Kept) -> None:
        version, words, gauss = kept.facts["python"]
        random.setstate((version, tuple(words), gauss))
        self.batches.random.bit_generator.state = kept.facts["order"]
        self.batches.order, self.batches.augmentation = kept.arrays["order"], kept.arrays["view"]


def _remembered(callback: Any) -> dict[str, Any]:
    values = {name: vars(callback)[name] for name in _REMEMBERED if name in vars(callback)}
    return {
        name: value if value is None or isinstance(value, bool | int) else float(value)
        for name, value in values.items()
    }
