"""TensorBoard files: scalars and the precision-recall curve of validation by epoch, and the worst patches."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.pr_curve.metadata import create_summary_metadata

from steel_training.training.monitoring.ranking import THRESHOLDS, TIE_BREAK

FOLDER = "tensorboard"
PR_CURVE = "validation"


def event_files(logs: Path) -> keras.callbacks.TensorBoard:
    """Return Keras' TensorBoard callback, with epochs counted from 1 and a precision-recall curve per epoch.

    Runs are `train` and `validation`. Scalars: `epoch_loss`, `epoch_recall` (at the target precision), `epoch_pr_auc`,
    `epoch_auc` of both; `epoch_learning_rate` under `train`, `epoch_recall_ranked` under `validation`.

    Args:
        logs: folder of this training; the files go into its subfolder `tensorboard`.
    """

    class EventFiles(keras.callbacks.TensorBoard):  # type: ignore[misc]
        def on_test_end(self, logs: dict[str, float] | None = None) -> None:
            """Skip the validation scalars by step, which would repeat those by epoch under other names."""

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            super().on_epoch_end(epoch + 1, logs)
            # TensorBoard stops reading a file when a second one appears in its folder: use Keras' own writer.
            with self._val_writer.as_default():
                _write_pr_curve(_pr_metric(self.model), epoch + 1)
            self._train_writer.flush()
            self._val_writer.flush()

    return EventFiles(str(logs / FOLDER), write_graph=False)


def _pr_metric(network: keras.Model) -> keras.metrics.AUC:
    """Return the compiled metric with the counts of the curve; at the end of an epoch they are those of validation."""
    name = TIE_BREAK.removeprefix("val_")
    compiled = [metric for outer in network.metrics for metric in getattr(outer, "metrics", [outer])]
    return next(metric for metric in compiled if metric.name == name)


def _write_pr_curve(metric: keras.metrics.AUC, epoch: int) -> None:
    """Write a summary for TensorBoard's `pr_curves` plugin from counts at evenly spaced thresholds.

    The plugin's own operation is for TensorFlow 1; its tensor is float32 (6, thresholds): true positives, false
    positives, true negatives, false negatives, precision, recall.
    """
    counts = (metric.true_positives, metric.false_positives, metric.true_negatives, metric.false_negatives)
    tp, fp, tn, fn = (np.asarray(count, np.float32) for count in counts)
    precision, recall = tp / np.maximum(tp + fp, 1), tp / np.maximum(tp + fn, 1)
    metadata = create_summary_metadata(
        "validation",
        f"Validation, at {THRESHOLDS:,} thresholds from 0 to 1. Counts are patches.",
        THRESHOLDS,
    )
    tf.summary.write(
        f"{PR_CURVE}/pr_curves",
        np.stack([tp, fp, tn, fn, precision, recall]),
        step=epoch,
        metadata=tf.compat.v1.SummaryMetadata.FromString(metadata.SerializeToString()),
    )


def write_worst(logs: Path, pictures: dict[str, np.ndarray], epoch: int) -> None:
    """Write images of the worst patches beside the scalars of validation, after training.

    Args:
        logs: folder of this training.
        pictures: uint8 (height, width, 3) by name, from `worst.pictures`.
        epoch: whose weights gave the scores.
    """
    writer = tf.summary.create_file_writer(str(logs / FOLDER / "validation"))
    with writer.as_default():
        for name, picture in pictures.items():
            tf.summary.image(name, picture[None], step=epoch)
    writer.close()
