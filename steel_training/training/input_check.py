"""The preprocessing contract: what a backbone's first convolution receives covers the range it was trained on.

Normalised twice, pixels shrink to a range in which every patch looks the same; nothing fails, the model is only bad. Black and
white are sent through the very layers that patches go through.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from steel_training.errors import SteelTrainingError
from steel_training.training.backbones import BackboneSpec

# From black to white: EfficientNet was trained on 1 (rescaled) to 4.5 (divided by ImageNet's deviation) and, where
# keras.applications divides once more, up to 10; ResNet50 on 255 grey values less a mean.
_SPANS = {True: (0.9, 12.0), False: (250.0, 260.0)}


class InputRangeMismatch(SteelTrainingError):
    """What the backbone receives is not what it was trained on; the message says how far off it is."""


def check_input_normalisation(network: Any, spec: BackboneSpec) -> float:
    """Measures the span from black to white at the first convolution.

    Args:
        network: Keras model, pixels 0-255 in, a flat graph.
        spec: of its backbone.

    Returns:
        The smallest span among the three colours.

    Raises:
        RangeNotKept: it is not the one that the backbone was trained on.
    """
    first = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    received = keras.Model(network.inputs[0], first.input)
    side = network.input_shape[1] or 32
    ends = np.stack([np.full((side, side, 3), grey, np.float32) for grey in (0.0, 255.0)])
    black, white = np.asarray(received(ends))
    # Padding puts zeros at the edges; the middle is what the pixels became.
    middle = black.shape[0] // 2
    span = float(np.abs(white[middle, middle] - black[middle, middle]).min())
    low, high = _SPANS[spec.rescales]
    if not low <= span <= high:
        raise InputRangeMismatch(
            f"From black to white {spec.name} receives a range of {span:.4g}; it was trained on {low:g} to {high:g}. "
            "Pixels are normalised twice, or not at all: feed 0-255, and leave scaling to the network."
        )
    return span
