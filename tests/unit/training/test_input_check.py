"""The input normalisation check: the backbone receives the range it was trained on; twice normalised inputs are refused."""

from __future__ import annotations

import keras
import pytest

from steel_training.training.backbones import SPECS
from steel_training.training.input_check import InputRangeMismatch, check_input_normalisation


@pytest.mark.parametrize("name", SPECS)
def test_pixels_0_to_255_reach_the_backbone_range(name: str) -> None:
    assert check_input_normalisation(SPECS[name].build(32), SPECS[name]) > 0.9


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("scale", [1 / 255, 255.0], ids=["divided once more", "multiplied"])
def test_inputs_normalised_twice_are_refused(name: str, scale: float) -> None:
    spec = SPECS[name]
    pixels = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(scale)(pixels)
    if not spec.rescales:
        scaled = keras.layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68])(scaled)
    twice = spec.application()(include_top=False, weights=None, input_tensor=scaled)
    with pytest.raises(InputRangeMismatch, match="normalised twice"):
        check_input_normalisation(twice, spec)
