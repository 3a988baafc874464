"""What the backbone receives is what it was trained on; inputs normalised twice are refused by name."""

from __future__ import annotations

import keras
import pytest

from steel_training.training.backbones import SPECS
from steel_training.training.input_check import InputRangeMismatch, check_input_normalisation


@pytest.mark.parametrize("name", SPECS)
def test_pixels_from_0_to_255_arrive_in_the_range_of_the_backbone(name: str) -> None:
    assert check_input_normalisation(SPECS[name].build(32), SPECS[name]) > 0.9


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("scale", [1 / 255, 255.0], ids=["divided once more", "multiplied"])
def test_inputs_that_are_normalised_twice_are_refused(name: str, scale: float) -> None:
    spec = SPECS[name]
    pixels = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(scale)(pixels)
    if not spec.rescales:
        scaled = keras.layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68])(scaled)
    twice = spec.application()(include_top=False, weights=None, input_tensor=scaled)
    with pytest.raises(InputRangeMismatch, match="normalised twice"):
        check_input_normalisation(twice, spec)
