"""Sends pixels through layers that do not change, by the fastest way that gives what Keras gives.

Measured on 2 cores (`docs/speed.md`): LiteRT with XNNPACK 1.8 times TensorFlow's graph, ONNX Runtime and OpenVINO no faster than LiteRT,
which comes with TensorFlow. Converting takes a dozen seconds, so the graph works first, and LiteRT where much is left to do.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging as absl_logging
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from steel_training.training import replicated_fit
from steel_training.training.strategy import choose_strategy

log = logging.getLogger(__name__)

# About what converting costs: whoever stops before has lost nothing, whoever goes on for long has lost half of that at most.
GRAPH_SECONDS = 15.0
# Of a value, or of 1 where it is smaller.
TOLERANCE = 1e-3

Outputs = Sequence[Any]


class Forward:
    """Calls a network on one batch after another, as `FeatureCache` asks for it."""

    def __init__(self, network: Any, *, graph_seconds: float | None = None) -> None:
        """Takes a network.

        Args:
            network: Keras model of one input (n, size, size, 3), pixels 0-255, with one output or several, each (n, …).
            graph_seconds: after so long in the graph the network is converted; `GRAPH_SECONDS` where none is given.
        """
        strategy = choose_strategy()
        graph = tf.function(lambda pixels: tf.nest.flatten(network(pixels, training=False)), reduce_retracing=True)
        self._network = network
        self._graph = replicated_fit.spread(graph, strategy)
        self._lite: Callable[[Any], Outputs] | None = None
        # XNNPACK works on processors; where there is a GPU the graph is faster.
        self._convertible = not replicated_fit.is_replicated(strategy) and not tf.config.list_physical_devices("GPU")
        self._left = GRAPH_SECONDS if graph_seconds is None else graph_seconds

    def __call__(self, pixels: Any) -> Outputs:
        """Returns the outputs, (n, …) each, of float32 pixels (n, size, size, 3), 0-255."""
        if self._lite is not None:
            return self._lite(pixels)
        started = time.monotonic()
        outputs = [np.asarray(output) for output in self._graph(pixels)]
        self._left -= time.monotonic() - started
        if self._convertible and self._left <= 0:
            self._convertible = False
            self._lite = _converted(self._network, np.asarray(pixels), outputs)
        return outputs


def as_constants(network: Any) -> Any:
    """Returns a network as a graph of constants: the LiteRT converter does not find the variables of Keras 3 by itself."""
    forward = tf.function(lambda pixels: network(pixels, training=False))
    return convert_variables_to_constants_v2(
        forward.get_concrete_function(tf.TensorSpec([None, *network.input_shape[1:]], tf.float32, name="pixels"))
    )


def _converted(network: Any, pixels: np.ndarray, expected: Outputs) -> Callable[[Any], Outputs] | None:
    """Returns the network as LiteRT runs it, or `None` where that cannot be made or gives something else.

    Args:
        network: Keras model.
        pixels: a batch.
        expected: outputs of Keras for it.
    """
    started = time.monotonic()
    # It advises to give it the object whose variables it does not find.
    absl_logging.set_verbosity(absl_logging.ERROR)
    try:
        with warnings.catch_warnings():
            # TensorFlow says that its interpreter moves to a package of its own; the one of the pinned version is here.
            warnings.simplefilter("ignore", UserWarning)
            data = tf.lite.TFLiteConverter.from_concrete_functions([as_constants(network)]).convert()
            interpreter = tf.lite.Interpreter(model_content=data, num_threads=len(os.sched_getaffinity(0)))
        full = len(pixels)
        place = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(place, pixels.shape)
        interpreter.allocate_tensors()
    except Exception as error:
        log.warning("features come from TensorFlow's graph: LiteRT cannot be made (%s)", str(error).strip()[:200])
        return None

    def of_one_size(batch: np.ndarray) -> list[np.ndarray]:
        interpreter.set_tensor(place, batch)
        interpreter.invoke()
        return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]

    order = _order(of_one_size(pixels), expected)
    if order is None:
        log.warning("features come from TensorFlow's graph: LiteRT gives other values for this network")
        return None
    log.info("features come from LiteRT from here on, made in %.0f s", time.monotonic() - started)

    def lite(batch: Any) -> list[np.ndarray]:
        parts = []
        for start in range(0, len(batch), full):
            part = np.asarray(batch[start : start + full], np.float32)
            filled = np.concatenate([part, np.zeros((full - len(part), *part.shape[1:]), np.float32)])
            outputs = of_one_size(filled)
            parts.append([outputs[number][: len(part)] for number in order])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    return lite


def _order(found: Outputs, expected: Outputs) -> list[int] | None:
    """Says which output found is which one told, by shape and value; `None` where one is not among them."""
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
