"""What training watches: `val_recall`, with ties broken, and the callbacks that act on it.

`val_recall` is the recall at the best threshold that keeps precision at its target. Recall at 0.5 is won by a model
that calls everything defective; this one is 0 for it. While no threshold reaches the precision, every epoch ties at 0:
then the area under the precision-recall curve says which epoch is better.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from steel_training.errors import SteelTrainingError

log = logging.getLogger(__name__)

MONITOR = "val_recall"
TIE_BREAK = "val_pr_auc"
RANKED = "val_recall_ranked"


class LossNotFinite(SteelTrainingError):
    """The loss became NaN or infinite; the weights are worthless from there on."""


class MonitorMissing(SteelTrainingError):
    """A metric that training watches was not reported."""


def metrics(precision: float) -> list[Any]:
    """The metrics compiled into every network; named, since an unnamed one becomes `recall_1` at the next compile."""
    import keras

    return [
        keras.metrics.RecallAtPrecision(precision, num_thresholds=1000, name="recall"),
        keras.metrics.AUC(curve="PR", num_thresholds=1000, name="pr_auc"),
        keras.metrics.AUC(num_thresholds=1000, name="auc"),
    ]


def rank(logs: Mapping[str, float]) -> float:
    """Orders epochs by recall, then by the area under the precision-recall curve.

    The second counts for a thousandth of the first: less than one defect in a validation part of up to 1,000 defects.

    Raises:
        MonitorMissing: Keras reported another name than the one that is watched.
    """
    missing = [name for name in (MONITOR, TIE_BREAK) if name not in logs]
    if missing:
        raise MonitorMissing(
            f"Training reported {sorted(logs)}, but {', '.join(missing)} is what chooses the checkpoint."
        )
    return float(logs[MONITOR]) + 1e-3 * float(logs[TIE_BREAK])


def callbacks(
    *, stage: str, epochs: int, patience: int, checkpoint: Path, averaged: bool, tensorboard: Path | None
) -> tuple[list[Any], dict[str, list[float]]]:
    """Builds the four LOCKED callbacks, after a warm-up of the rate and one that ranks epochs and reports them.

    Args:
        stage: shown with every epoch.
        epochs: planned.
        patience: of early stopping; the rate is halved after half of it.
        checkpoint: file for the weights of the best epoch.
        averaged: the optimizer keeps a running mean of the weights; that is what is validated and kept.
        tensorboard: folder of its logs.

    Returns:
        The callbacks in order, and the history (a list an entry of `logs`, one value an epoch) that they fill.
    """
    import keras

    history: dict[str, list[float]] = {}

    class RankAndReport(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            logs = logs if logs is not None else {}
            if not np.isfinite(logs.get("loss", np.nan)) or not np.isfinite(logs.get("val_loss", np.nan)):
                raise LossNotFinite(
                    f"{stage}: the loss is {logs.get('loss')} (validation {logs.get('val_loss')}) after epoch {epoch + 1}. "
                    "Lower the learning rate, and check that the pixels are 0-255."
                )
            logs[RANKED] = rank(logs)
            rate = float(np.asarray(self.model.optimizer.learning_rate))
            for name, value in {**logs, "learning_rate": rate}.items():
                history.setdefault(name, []).append(float(value))
            log.info(
                "%s  epoch %d/%d  loss %.4f  val_loss %.4f  val_recall %.3f  val_pr_auc %.4f  val_auc %.4f",
                stage, epoch + 1, epochs, logs["loss"], logs["val_loss"], logs[MONITOR], logs[TIE_BREAK], logs["val_auc"],
            )  # fmt: skip

    class WarmUp(keras.callbacks.Callback):  # type: ignore[misc]
        """Raises the rate from nothing over the first epoch: Adam's first steps are blind, and undo good weights."""

        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it by name
            self.rate = float(np.asarray(self.model.optimizer.learning_rate))

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it by name
            if self.model.optimizer.iterations < self.params["steps"]:
                self.model.optimizer.learning_rate = self.rate * (batch + 1) / self.params["steps"]

    made: list[Any] = [
        WarmUp(),
        RankAndReport(),
        *([keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if averaged else []),
        keras.callbacks.EarlyStopping(monitor=RANKED, mode="max", patience=patience),
        keras.callbacks.ModelCheckpoint(
            str(checkpoint), monitor=RANKED, mode="max", save_best_only=True, save_weights_only=True
        ),
        keras.callbacks.ReduceLROnPlateau(monitor=RANKED, mode="max", factor=0.5, patience=max(1, patience // 2)),
    ]
    if tensorboard is not None:
        made.append(keras.callbacks.TensorBoard(str(tensorboard), write_graph=False))
    return made, history
