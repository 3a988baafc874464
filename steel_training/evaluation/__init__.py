"""Evaluation of scores: metrics, thresholds, confidence bounds, the gate. Pure: NumPy in, dataclasses out."""
