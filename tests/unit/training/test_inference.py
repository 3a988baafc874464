"""Forward passes through frozen layers use the fastest engine, and give the outputs of Keras."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest

from steel_training.config import ModelConfig
from steel_training.training import inference
from steel_training.training.inference import Forward
from steel_training.training.model_trainer import TransferLearningModel

# Images of 64 pixels from which conversion pays.
MANY = math.ceil(inference.LITE_FROM_PIXELS / 64**2)


@pytest.fixture(scope="module")
def trunk() -> Any:
    import keras

    keras.utils.set_random_seed(3)
    model = TransferLearningModel.build(ModelConfig(weights="steel"), 64)
    return keras.Model(model.keras_model.input, [*model.pooled(), *model.boundary("auto")])


@pytest.fixture(scope="module")
def stem(trunk: Any) -> Any:
    """The first blocks of the trunk, which are converted in a moment."""
    import keras

    return keras.Model(trunk.input, trunk.layers[30].output)


def pixels(count: int, seed: int = 0) -> np.ndarray:
    grey = np.random.default_rng(seed).normal(110, 25, (count, 64, 64, 1)).clip(0, 255)
    return np.repeat(grey, 3, axis=-1).astype(np.float32)


def test_litert_takes_over_with_the_outputs_of_keras(trunk: Any, caplog: Any) -> None:
    ours = Forward(trunk, images=MANY)
    with caplog.at_level(logging.INFO):
        ours(pixels(16))
    assert "computed by LiteRT" in caplog.text
    for seed, count in enumerate((16, 5, 16, 40, 1)):  # shorter and longer batches, too
        batch = pixels(count, seed)
        expected = [np.asarray(output) for output in trunk(batch, training=False)]
        found = ours(batch)
        assert [each.shape for each in found] == [each.shape for each in expected]
        for one, other in zip(found, expected, strict=True):
            assert np.abs(one - other).max() <= 1e-3 * max(1.0, np.abs(other).max())


def test_short_job_is_never_converted(trunk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "_converted", None)
    ours = Forward(trunk, images=MANY - 1)
    expected = [np.asarray(output) for output in trunk(pixels(4), training=False)]
    for one, other in zip(ours(pixels(4)), expected, strict=True):
        assert np.allclose(one, other, rtol=1e-4, atol=1e-4)


def test_interrupted_job_goes_on_with_the_same_values(stem: Any) -> None:
    whole = Forward(stem, images=MANY)
    batches = [pixels(16, seed) for seed in range(3)]
    expected = [whole(batch) for batch in batches]
    resumed = Forward(stem, images=MANY)
    for batch, values in zip(batches[1:], expected[1:], strict=True):
        for one, other in zip(resumed(batch), values, strict=True):
            assert np.array_equal(one, other)


def test_failed_or_differing_conversion_keeps_the_graph(
    stem: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    import keras

    odd = keras.Model(stem.input, keras.ops.erfinv(keras.ops.mean(stem.input, axis=(1, 2)) / 300))
    ours = Forward(odd, images=MANY)
    batch = pixels(4)
    first = ours(batch)[0]
    assert "conversion to LiteRT failed" in caplog.text
    assert np.array_equal(ours(batch)[0], first)

    monkeypatch.setattr(inference, "_is_like", lambda found, expected: False)
    ours = Forward(stem, images=MANY)
    ours(batch)
    assert "gives other values" in caplog.text
    assert np.allclose(ours(batch)[0], np.asarray(stem(batch, training=False)), rtol=1e-4, atol=1e-4)
