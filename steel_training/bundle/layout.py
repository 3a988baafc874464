"""File names in a bundle, and the tolerances of its verification."""

from steel_training.model_files import KERAS_MODEL as KERAS_MODEL
from steel_training.model_files import SAVED_MODEL as SAVED_MODEL

THRESHOLD, INPUT, GATE, GOLDEN, CARD = "threshold.json", "input.json", "gate.json", "golden", "model_card.md"
LITE = {"float": "model.tflite", "int8": "model_int8.tflite"}
LITE_RECORD = "lite.json"
"""Which LiteRT files are in the bundle, and why others are left out."""

GOLDEN_SAMPLES = 16
TOLERANCE = 1e-4
LITE_TOLERANCE = {"float": 1e-4, "int8": 0.05}
