"""The report of a run: one self-contained HTML page, and a short summary for the terminal.

Names that need pandas are imported on first use: the API server has no pandas, but uses the formatting and charts.
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
