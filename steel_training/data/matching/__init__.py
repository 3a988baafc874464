"""Finds patches that show the same steel surface: rotated, mirrored, shifted or re-exposed."""
