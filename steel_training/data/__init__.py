"""Datasets of patches: versions, splits, images, measurements, drift."""
