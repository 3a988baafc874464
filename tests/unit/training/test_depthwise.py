"""A depthwise convolution as a matrix product gives the values and gradients of TensorFlow's own, and is undone afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.training.depthwise import LARGEST_MAP, as_matrices


def gradients(network: Any, pixels: np.ndarray) -> list[np.ndarray]:
    import tensorflow as tf

    taken = tf.constant(pixels)
    with tf.GradientTape() as tape:
        tape.watch(taken)
        output = network(taken, training=True)
        total = tf.reduce_sum(output * tf.cast(tf.reshape(tf.range(tf.size(output)), tf.shape(output)), tf.float32))
    return [
        np.asarray(output),
        *(np.asarray(each) for each in tape.gradient(total, [taken, *network.trainable_variables])),
    ]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 8), st.integers(1, 8), st.sampled_from([1, 2, 3, 5]), st.sampled_from([1, 2]),
    st.sampled_from(["same", "valid"]), st.integers(1, 3),
)  # fmt: skip
def test_values_and_gradients_match_the_convolution(
    height: int, width: int, kernel: int, stride: int, padding: str, channels: int
) -> None:
    import keras

    if padding == "valid" and min(height, width) < kernel:
        return
    maps = keras.Input((height, width, channels))
    layer = keras.layers.DepthwiseConv2D(kernel, stride, padding, use_bias=False)
    network = keras.Model(maps, layer(maps))
    pixels = np.random.default_rng(height * 100 + width).normal(size=(4, height, width, channels)).astype(np.float32)
    expected = gradients(network, pixels)
    with as_matrices(network) as changed:
        found = gradients(network, pixels)
    assert changed == 1
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(one, other, rtol=1e-4, atol=1e-3 * max(1.0, np.abs(other).max()))


def test_saved_network_and_large_maps_are_unchanged(tmp_path: Path) -> None:
    import keras

    maps = keras.Input((16, 16, 2))
    large = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(maps)
    small = keras.layers.DepthwiseConv2D(3, 2, padding="same", use_bias=False, name="to_8")(large)
    small = keras.layers.DepthwiseConv2D(5, padding="same", use_bias=False, name="at_8")(small)
    network = keras.Model(maps, keras.layers.GlobalAveragePooling2D()(small))
    network.compile("sgd", "mse")
    pixels = np.random.default_rng(1).normal(size=(8, 16, 16, 2)).astype(np.float32)
    with as_matrices(network) as changed:
        network.fit(pixels, np.zeros((8, 2)), verbose=0)
    assert changed == 1
    assert 8 * 8 <= LARGEST_MAP < 16 * 16
    assert "call" not in vars(network.get_layer("at_8"))
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras", safe_mode=True)
    assert np.allclose(np.asarray(again(pixels)), np.asarray(network(pixels)), atol=1e-6)


def test_layers_are_restored_if_training_fails() -> None:
    import keras

    maps = keras.Input((4, 4, 2))
    network = keras.Model(maps, keras.layers.DepthwiseConv2D(3, use_bias=False, name="one")(maps))
    with pytest.raises(KeyboardInterrupt), as_matrices(network):
        raise KeyboardInterrupt
    assert "call" not in vars(network.get_layer("one"))
