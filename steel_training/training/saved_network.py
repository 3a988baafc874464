"""Loads a network that a run or a version has saved, after it was checked that the file names no code."""

from __future__ import annotations

from pathlib import Path

import keras

from steel_training.model_files import require_safe


def load_network(path: Path) -> keras.Model:
    """Return the network of a `.keras` file, for inference.

    Raises:
        UnsafeModelFile: it names a class of which this program's networks are not made; it was not loaded.
    """
    require_safe(path)
    return keras.models.load_model(path, compile=False, safe_mode=True)
