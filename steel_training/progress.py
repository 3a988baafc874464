"""A bar where a person looks on, lines where a log is kept: standard error is a terminal, or it is not.

While a bar stands, log lines go above it (`tqdm.contrib.logging`), so that neither tears the other.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)

LINE_EVERY = 512


@contextmanager
def counting(what: str, total: int, unit: str = "patches") -> Iterator[Callable[[int, int], None]]:
    """Gives a callable (done, total) that shows how far a pass is: a bar, or a line every `LINE_EVERY` and at the end."""
    if not sys.stderr.isatty():
        yield _lines(what, unit)
        return
    # The delay keeps the bar of a pass that the cache answers from flashing up.
    with _bar(total, unit, desc=what, delay=0.2) as bar:
        yield lambda done, _: bar.update(done - bar.n)


@contextmanager
def epoch_bar(stage: str, *, epochs: int, steps: int, validation_steps: int) -> Iterator[list[Any]]:
    """Gives the Keras callbacks that show the batches of every epoch, validation included; none without a terminal."""
    if not sys.stderr.isatty():
        yield []
        return
    import keras

    with _bar(steps + validation_steps, "batches", desc=stage) as bar:

        class Bar(keras.callbacks.Callback):  # type: ignore[misc]
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes them by name
                bar.set_description(f"{stage}  epoch {epoch + 1}/{epochs}", refresh=False)
                bar.reset()

            def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
                if logs and "loss" in logs:
                    bar.set_postfix(loss=f"{logs['loss']:.4f}", refresh=False)
                bar.update()

            def on_test_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes them by name
                bar.update()

        yield [Bar()]


@contextmanager
def _bar(total: int, unit: str, **options: Any) -> Iterator[Any]:
    """A bar on standard error that vanishes when it is done: what it came to is in the log line."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    # A terminal that does not know its size (`docker run -t`, `script`) says 0 × 0, and tqdm would draw nothing.
    known = all(os.get_terminal_size(sys.stderr.fileno()))
    size = {"dynamic_ncols": True} if known else {"ncols": 100, "nrows": 24}
    with (
        tqdm(total=total, unit=f" {unit}", file=sys.stderr, leave=False, **size, **options) as bar,
        logging_redirect_tqdm(),
    ):
        yield bar


def _lines(what: str, unit: str) -> Callable[[int, int], None]:
    shown = 0

    def report(done: int, total: int) -> None:
        nonlocal shown
        if done - shown >= LINE_EVERY or done == total:
            shown = done
            log.info("%s  %s/%s %s", what, f"{done:,}", f"{total:,}", unit)

    return report
