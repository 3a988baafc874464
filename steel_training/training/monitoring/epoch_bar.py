"""Progress bar on a terminal during training."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from steel_training.progress import bar


@contextmanager
def epoch_bar(
    stage: str, *, epochs: int, steps: int, validation_steps: int
) -> Iterator[list[keras.callbacks.Callback]]:
    """Yield the Keras callbacks that show the batches of every epoch, validation included; none without a terminal."""
    if not sys.stderr.isatty():
        yield []
        return
    with bar(steps + validation_steps, "batches", desc=stage) as shown:

        class Bar(keras.callbacks.Callback):  # type: ignore[misc]
            def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras passes them by name
                shown.set_description(f"{stage}  epoch {epoch + 1}/{epochs}", refresh=False)
                shown.reset()

            def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
                if logs and "loss" in logs:
                    shown.set_postfix(loss=f"{logs['loss']:.4f}", refresh=False)
                shown.update()

            def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras passes them by name
                shown.update()

        yield [Bar()]
