"""A run in the store: its results, files, lineage and how to reproduce it."""
