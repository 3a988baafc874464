"""What is published: a SavedModel that needs nothing of us, the Keras model, LiteRT files, and what shows that all are one.

The SavedModel takes image files as bytes (PNG, JPEG, BMP; grey or RGB; any size up to `MAX_SIDE` a side) and answers with
score, label, threshold and version. It is verified in a process that has TensorFlow and not this package.
"""

from steel_training.bundle.card import model_card
from steel_training.bundle.export import export
from steel_training.bundle.golden import choose_golden, write_golden
from steel_training.bundle.layout import (
    CARD,
    GATE,
    GOLDEN,
    GOLDEN_SAMPLES,
    KERAS_MODEL,
    LITE,
    LITE_RECORD,
    SAVED_MODEL,
    THRESHOLD,
    TOLERANCE,
)
from steel_training.bundle.lite import CHECKED_PATCHES, REPRESENTATIVE_PATCHES, balanced, export_lite
from steel_training.bundle.verify import ExportDiffers, verify

__all__ = [
    "CARD",
    "CHECKED_PATCHES",
    "GATE",
    "GOLDEN",
    "GOLDEN_SAMPLES",
    "KERAS_MODEL",
    "LITE",
    "LITE_RECORD",
    "REPRESENTATIVE_PATCHES",
    "SAVED_MODEL",
    "THRESHOLD",
    "TOLERANCE",
    "ExportDiffers",
    "balanced",
    "choose_golden",
    "export",
    "export_lite",
    "model_card",
    "verify",
    "write_golden",
]
