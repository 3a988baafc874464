"""Judges scores: metrics, thresholds, intervals, the gate. Pure: NumPy in, dataclasses out."""
