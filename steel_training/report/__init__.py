"""The report of a run: one self-contained HTML page, and its short form in the terminal."""

from steel_training.report.of_run import write_report
from steel_training.report.page import Example, render

__all__ = ["Example", "render", "write_report"]
