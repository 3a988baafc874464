"""The report of a run: one self-contained HTML page, and its short form in the terminal."""

from steel_training.report.of_run import write_report
from steel_training.report.page import render
from steel_training.report.record import Mistake, RunRecord

__all__ = ["Mistake", "RunRecord", "render", "write_report"]
