"""Leak probes: each looks for one way in which a dataset flatters the model that is trained on it.

A probe never raises on bad data and never passes for lack of it: what it cannot judge, it fails, and says what it lacks.
What each is worth, measured: `docs/leakage.md`.
"""

from steel_training.leakage.probe import Probe

__all__ = ["Probe"]
