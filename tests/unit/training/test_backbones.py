"""Backbones take pixels 0-255, can be cut at the layers that the error message names, and give the same scores when cut."""

import numpy as np
import pytest

from steel_training.config import ModelConfig
from steel_training.training.backbones import SPECS, UnknownLayer
from steel_training.training.model_trainer import TransferLearningModel

PIXELS = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module", params=sorted(SPECS))
def model(request):
    return TransferLearningModel.build(ModelConfig(backbone=request.param, weights="none"), 32)


def layers_named_by_the_error(model):
    with pytest.raises(UnknownLayer) as caught:
        model.boundary("no_such_layer")
    assert caught.value.exit_code == 2
    assert "no_such_layer" in str(caught.value)
    return str(caught.value).split("cut after: ")[1].rstrip(".").split(", ")


def test_network_cut_at_any_offered_layer_gives_equal_scores(model):
    """Both halves are read out of one pass each: every boundary from the lower, every score from the upper."""
    import keras

    whole = np.asarray(model.keras_model(PIXELS, training=False))
    offered = layers_named_by_the_error(model)
    assert model.spec.from_layer in offered
    assert len(offered) >= 9
    lower = keras.Model(model.keras_model.input, [model.boundary(name) for name in offered])
    for name, crossing in zip(offered, lower(PIXELS, training=False), strict=True):
        upper = keras.Model(model.boundary(name), model.keras_model.output)
        assert np.allclose(np.asarray(upper(crossing, training=False)), whole, atol=1e-6), name


def test_auto_is_the_default_boundary(model):
    names = [tensor.name for tensor in model.boundary("auto")]
    assert names == [tensor.name for tensor in model.boundary(model.spec.from_layer)]


@pytest.mark.parametrize("name", ["", "pooled_taps", "score", "pixels"])
def test_layers_outside_the_backbone_are_no_boundary(model, name):
    with pytest.raises(UnknownLayer):
        model.boundary(name)


def test_feature_layers_are_ordered_and_pooled(model):
    names = [layer.name for layer in model.keras_model.layers]
    places = [names.index(layer) for layer in model.spec.feature_layers]
    assert places == sorted(places)
    outputs = [model.keras_model.get_layer(layer).output for layer in model.spec.feature_layers]
    sides = [output.shape[1] for output in outputs]
    assert sides == sorted(sides, reverse=True)
    assert model.pooled()[0].shape[-1] == 2 * sum(output.shape[-1] for output in outputs)


def test_resnet_input_matches_its_own_preprocessing():
    import keras

    spec = SPECS["ResNet50"]
    ours = spec.build(32)
    theirs = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(32, 32, 3))
    theirs.set_weights(ours.get_weights())
    expected = np.asarray(theirs(keras.applications.resnet50.preprocess_input(PIXELS.copy()), training=False))
    got = np.asarray(ours(PIXELS, training=False))
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()
    raw = np.asarray(theirs(PIXELS, training=False))
    assert np.abs(raw - expected).max() > 1e-2 * np.abs(expected).max(), "preprocessing matters"


def test_efficientnet_scales_pixels_exactly_once():
    """Inputs scaled before the network, the well-known mistake, would give other features."""
    spec = SPECS["EfficientNetB0"]
    ours = spec.build(32)
    scalings = [layer for layer in ours.layers if layer.__class__.__name__ == "Rescaling"]
    assert [layer.scale for layer in scalings] == [pytest.approx(1 / 255)]
    assert not np.allclose(np.asarray(ours(PIXELS)), np.asarray(ours(PIXELS / 255)))
