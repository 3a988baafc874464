"""The report of a run: one self-contained HTML page, and its short form in the terminal.

What needs pandas is loaded when it is asked for: the API server has none, and writes figures in the report's words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steel_training.report.from_run import write_report
    from steel_training.report.page import render
    from steel_training.report.record import Mistake, RunRecord

__all__ = ["Mistake", "RunRecord", "render", "write_report"]

_FROM = {"Mistake": "record", "RunRecord": "record", "render": "page", "write_report": "from_run"}


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
