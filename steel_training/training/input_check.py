"""Input normalisation check: the first convolution of a backbone must receive the value range it was trained on.

If pixels are normalised twice, their range shrinks until all patches look the same; nothing fails, the model is just bad. The
check passes black and white images through the same layers as patches.
"""

from __future__ import annotations

import keras
import numpy as np

from steel_training.errors import SteelTrainingError
from steel_training.training.backbones import BackboneSpec

# From black to white: EfficientNet was trained on 1 (rescaled) to 4.5 (divided by ImageNet's standard deviation) and, where
# keras.applications divides once more, up to 10; ResNet50 on 255 grey values minus a mean.
_SPANS = {True: (0.9, 12.0), False: (250.0, 260.0)}


class InputRangeMismatch(SteelTrainingError):
    """The backbone does not receive the value range it was trained on; the message gives both ranges."""


def check_input_normalisation(network: keras.Model, spec: BackboneSpec) -> float:
    """Measure the range from black to white at the first convolution, and check it.

    Args:
        network: Keras model, pixels 0-255 in, a flat graph.
        spec: of its backbone.

    Returns:
        The smallest range among the three channels.

    Raises:
        InputRangeMismatch: it is not the one that the backbone was trained on.
    """
    first = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    received = keras.Model(network.inputs[0], first.input)
    side = network.input_shape[1] or 32
    ends = np.stack([np.full((side, side, 3), grey, np.float32) for grey in (0.0, 255.0)])
    black, white = np.asarray(received(ends))
    # Padding puts zeros at the edges; the centre has the transformed pixels.
    middle = black.shape[0] // 2
    span = float(np.abs(white[middle, middle] - black[middle, middle]).min())
    low, high = _SPANS[spec.rescales]
    if not low <= span <= high:
        raise InputRangeMismatch(
            f"From black to white {spec.name} receives a range of {span:.4g}; it was trained on {low:g} to {high:g}. "
            "Pixels are normalised twice, or not at all: feed 0-255, and leave scaling to the network."
        )
    return span
