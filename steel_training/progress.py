"""Shows progress on standard error: a bar on a terminal, lines in a log.

While a bar is shown, log lines go above it (`tqdm.contrib.logging`), so that they do not mix.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

log = logging.getLogger(__name__)

LINE_EVERY = 512


@contextmanager
def counting(what: str, total: int, unit: str = "patches") -> Iterator[Callable[[int, int], None]]:
    """Yield a callable (done, total) that shows progress: a bar, or a line every `LINE_EVERY` and at the end."""
    if not sys.stderr.isatty():
        yield _lines(what, unit)
        return
    # The delay keeps the bar of a pass that the cache answers from flashing up.
    with bar(total, unit, desc=what, delay=0.2) as shown:
        yield lambda done, _: shown.update(done - shown.n)


@contextmanager
def bar(total: int, unit: str, **options: str | float) -> Iterator[tqdm]:
    """Show a bar on standard error that is removed at the end; the result is in the log line."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    # A terminal that does not know its size (`docker run -t`, `script`) says 0 × 0, and tqdm would draw nothing.
    known = all(os.get_terminal_size(sys.stderr.fileno()))
    size = {"dynamic_ncols": True} if known else {"ncols": 100, "nrows": 24}
    with (
        tqdm(total=total, unit=f" {unit}", file=sys.stderr, leave=False, **size, **options) as shown,
        logging_redirect_tqdm(),
    ):
        yield shown


def _lines(what: str, unit: str) -> Callable[[int, int], None]:
    shown = 0

    def report(done: int, total: int) -> None:
        nonlocal shown
        if done - shown >= LINE_EVERY or done == total:
            shown = done
            log.info("%s  %s/%s %s", what, f"{done:,}", f"{total:,}", unit)

    return report
