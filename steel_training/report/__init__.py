"""The report of a run: one HTML file that opens from disk, without network."""

from steel_training.report.page import Example, as_png, render

__all__ = ["Example", "as_png", "render"]
