"""Leak probes: each tests for one way in which a dataset inflates the metrics of a model trained on it.

A probe never raises on bad data and never passes for lack of data: if it cannot judge, it fails and says what is missing.
Measured detection and false-alarm rates: `docs/leakage.md`.
"""

from steel_training.leakage.probe import Probe

__all__ = ["Probe"]
