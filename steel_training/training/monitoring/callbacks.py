"""The callbacks of every training: the four standard ones, warm-up, and ranking and logging of epochs."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import keras
import numpy as np

from steel_training.errors import SteelTrainingError
from steel_training.training.monitoring.epoch_log import RESULTS, Epoch, ResultsFile
from steel_training.training.monitoring.ranking import MONITOR, RANKED, TIE_BREAK, rank
from steel_training.training.monitoring.tensorboard import event_files

log = logging.getLogger(__name__)


class LossNotFinite(SteelTrainingError):
    """The loss became NaN or infinite; the weights are unusable from there on."""


def callbacks(
    *, stage: str, epochs: int, patience: int, precision: float, checkpoint: Path, averaged: bool, logs: Path | None
) -> tuple[list[keras.callbacks.Callback], dict[str, list[float]]]:
    """Build the four standard callbacks, preceded by learning-rate warm-up and by ranking and logging of epochs.

    Args:
        stage: shown with every epoch.
        epochs: planned number.
        patience: of early stopping, epochs; the learning rate is halved after half of it.
        precision: at which `val_recall` is measured; shown with it.
        checkpoint: file for the weights of the best epoch.
        averaged: whether the optimizer keeps a running mean of the weights, which is then validated and saved.
        logs: folder for `results.csv` and TensorBoard files.

    Returns:
        The callbacks in order, and the history that they fill: one list per metric, with one value per epoch.
    """
    history: dict[str, list[float]] = {}
    results = ResultsFile(logs / RESULTS) if logs is not None else None

    class RankAndReport(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras passes them by name
            self.started = time.monotonic()

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            logs = logs if logs is not None else {}
            if not np.isfinite(logs.get("loss", np.nan)) or not np.isfinite(logs.get("val_loss", np.nan)):
                raise LossNotFinite(
                    f"{stage}: the loss is {logs.get('loss')} (validation {logs.get('val_loss')}) after epoch {epoch + 1}. "
                    "Lower the learning rate, and check that the pixels are 0-255."
                )
            logs[RANKED] = rank(logs)
            rate = float(np.asarray(self.model.optimizer.learning_rate))
            best = logs[RANKED] > max(history.get(RANKED, ()), default=-np.inf)
            for name, value in {**logs, "learning_rate": rate}.items():
                history.setdefault(name, []).append(float(value))
            ended = Epoch(
                epoch=epoch + 1,
                seconds=time.monotonic() - self.started,
                learning_rate=rate,
                loss=logs["loss"],
                val_loss=logs["val_loss"],
                val_recall=logs[MONITOR],
                val_pr_auc=logs[TIE_BREAK],
                val_auc=logs["val_auc"],
                best=bool(best),
            )
            log.info("%s", ended.line(stage, epochs=epochs, precision=precision))
            if results is not None:
                results.add(ended)

    class WarmUp(keras.callbacks.Callback):  # type: ignore[misc]
        """Raises the learning rate from 0 over the first epoch: Adam's first steps are noisy and would damage good weights."""

        def on_train_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras passes it by name
            self.rate = float(np.asarray(self.model.optimizer.learning_rate))

        def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras passes it by name
            if self.model.optimizer.iterations < self.params["steps"]:
                self.model.optimizer.learning_rate = self.rate * (batch + 1) / self.params["steps"]

    return [
        WarmUp(),
        RankAndReport(),
        *([keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if averaged else []),
        keras.callbacks.EarlyStopping(monitor=RANKED, mode="max", patience=patience),
        keras.callbacks.ModelCheckpoint(
            str(checkpoint), monitor=RANKED, mode="max", save_best_only=True, save_weights_only=True
        ),
        # Before the learning rate is reduced, so that it shows the rate the epoch was trained with, as the history does.
        *([event_files(logs)] if logs is not None else []),
        keras.callbacks.ReduceLROnPlateau(monitor=RANKED, mode="max", factor=0.5, patience=max(1, patience // 2)),
    ], history
