"""Forward passes through frozen layers, with the fastest engine that gives the same values as Keras.

Measured on 2 cores (`docs/speed.md`): LiteRT with XNNPACK is 1.8 times as fast as TensorFlow's graph; ONNX Runtime and OpenVINO
are no faster than LiteRT, which comes with TensorFlow. Conversion takes a dozen seconds, so short jobs use the graph. The engines
round differently, so the choice depends on the size of the job alone: the same dataset gives the same features, however busy the
machine is and however often a run was interrupted.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from absl import logging as absl_logging
from tensorflow.python.eager.polymorphic_function.concrete_function import ConcreteFunction
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from steel_training.training import replicated_fit
from steel_training.training.memory import keep_freed_memory
from steel_training.training.strategy import choose_strategy

log = logging.getLogger(__name__)

# Input pixels from which conversion saves a quarter of the time or more: 12,200 images of 128 pixels, or 4,000 of 224.
LITE_FROM_PIXELS = 200_000_000
# Relative to the value, or to 1 if it is smaller.
TOLERANCE = 1e-3

Outputs = Sequence[np.ndarray]


class Forward:
    """Calls a network on one batch after another, for `FeatureCache`."""

    def __init__(self, network: keras.Model, *, images: int) -> None:
        """Wrap a network.

        Args:
            network: Keras model of one input (n, size, size, 3), pixels 0-255, with one output or several, each (n, …).
            images: number of images in the job, those of earlier, interrupted attempts among them.
        """
        keep_freed_memory()
        strategy = choose_strategy()
        # With the number of patches left open, a last batch of fewer is not another graph. A strategy that calls the function once
        # per replica hands it the shards of all of them, which have no such signature.
        batch = tf.TensorSpec([None, *network.input_shape[1:]], tf.float32)
        signature = None if replicated_fit.is_replicated(strategy) else [batch]
        graph = tf.function(
            lambda pixels: tf.nest.flatten(network(pixels, training=False)),
            input_signature=signature,
            reduce_retracing=signature is None,
        )
        self._network = network
        self._graph = replicated_fit.spread(graph, strategy)
        self._lite: Callable[[np.ndarray | tf.Tensor], Outputs] | None = None
        _, height, width, _ = network.input_shape
        # XNNPACK runs on CPUs; with a GPU the graph is faster.
        self._to_convert = (
            images * height * width >= LITE_FROM_PIXELS
            and not replicated_fit.is_replicated(strategy)
            and not tf.config.list_physical_devices("GPU")
        )

    def __call__(self, pixels: np.ndarray | tf.Tensor) -> Outputs:
        """Return the outputs, (n, …) each, of float32 pixels (n, size, size, 3), 0-255."""
        if self._lite is None:
            outputs = [np.asarray(output) for output in self._graph(pixels)]
            if not self._to_convert:
                return outputs
            self._to_convert = False
            self._lite = _converted(self._network, np.asarray(pixels), outputs)
            if self._lite is None:
                return outputs
        return self._lite(pixels)


def as_constants(network: keras.Model) -> ConcreteFunction:
    """Return a network as a graph of constants, since the LiteRT converter does not find the variables of Keras 3."""
    forward = tf.function(lambda pixels: network(pixels, training=False))
    return convert_variables_to_constants_v2(
        forward.get_concrete_function(tf.TensorSpec([None, *network.input_shape[1:]], tf.float32, name="pixels"))
    )


def _converted(
    network: keras.Model, pixels: np.ndarray, expected: Outputs
) -> Callable[[np.ndarray | tf.Tensor], Outputs] | None:
    """Return the network as a LiteRT function, or `None` if conversion fails or its values differ.

    Args:
        network: Keras model.
        pixels: a batch.
        expected: outputs of Keras for it.
    """
    started = time.monotonic()
    # The converter advises to pass it the object whose variables it does not find.
    absl_logging.set_verbosity(absl_logging.ERROR)
    try:
        with warnings.catch_warnings():
            # TensorFlow warns that its interpreter will move to another package; the pinned version still has it.
            warnings.simplefilter("ignore", UserWarning)
            data = tf.lite.TFLiteConverter.from_concrete_functions([as_constants(network)]).convert()
            interpreter = tf.lite.Interpreter(model_content=data, num_threads=len(os.sched_getaffinity(0)))
        full = len(pixels)
        place = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(place, pixels.shape)
        interpreter.allocate_tensors()
    except Exception as error:
        log.warning(
            "features are computed by TensorFlow's graph: conversion to LiteRT failed (%s)", str(error).strip()[:200]
        )
        return None

    def of_one_size(batch: np.ndarray) -> list[np.ndarray]:
        interpreter.set_tensor(place, batch)
        interpreter.invoke()
        return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]

    order = _order(of_one_size(pixels), expected)
    if order is None:
        log.warning("features are computed by TensorFlow's graph: LiteRT gives other values for this network")
        return None
    log.info("features are computed by LiteRT (converted in %.0f s)", time.monotonic() - started)

    def lite(batch: np.ndarray | tf.Tensor) -> list[np.ndarray]:
        parts = []
        for start in range(0, len(batch), full):
            part = np.asarray(batch[start : start + full], np.float32)
            filled = np.concatenate([part, np.zeros((full - len(part), *part.shape[1:]), np.float32)])
            outputs = of_one_size(filled)
            parts.append([outputs[number][: len(part)] for number in order])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    return lite


def _order(found: Outputs, expected: Outputs) -> list[int] | None:
    """Return the index of each expected output among those found, by shape and value; `None` if one is missing."""
    order = []
    for wanted in expected:
        alike = [number for number, each in enumerate(found) if number not in order and _is_like(each, wanted)]
        if not alike:
            return None
        order.append(alike[0])
    return order


def _is_like(found: np.ndarray, expected: np.ndarray) -> bool:
    return found.shape == expected.shape and bool(
        np.all(np.abs(found - expected) <= TOLERANCE * np.maximum(np.abs(expected), 1.0))
    )
