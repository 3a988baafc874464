"""Scoring speed of inference engines on this CPU, their agreement with Keras, and their share of the peak rate.

    python benchmarks/inference_engines.py [--size 128] [--patches 1024] [--seconds 20]

EfficientNetB0 with this project's head and weights on synthetic strips, batches of 64, all cores. Engines that are not installed
(onnxruntime with tf2onnx, openvino) are left out. The share of the machine is the network's multiplications and additions against what a
multiplication of two matrices reaches here (float32, NumPy). Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 64
Score = Callable[[np.ndarray], np.ndarray]
"""float32 pixels (n, size, size, 3) → scores (n,)."""


def matrix_rate(seconds: float) -> float:
    """Floating-point operations per second of a multiplication of two float32 matrices."""
    one = np.random.default_rng(0).normal(size=(2048, 2048)).astype(np.float32)
    one @ one
    started, done = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        one @ one
        done += 1
    return done * 2 * 2048**3 / (time.monotonic() - started)


def operations(network: Any) -> float:
    """Multiplications and additions of one patch, counted over the convolutions and dense layers."""
    import keras

    total = 0
    for layer in network.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            height, width = layer.output.shape[1:3]
            total += 2 * int(np.prod(layer.kernel.shape[:3])) * layer.kernel.shape[3] * height * width
        elif isinstance(layer, keras.layers.Dense):
            total += 2 * int(np.prod(layer.kernel.shape))
    return float(total)


def keras_predict(network: Any, _: Path) -> Score:
    """`Model.predict`, as most people score."""
    return lambda pixels: network.predict(pixels, batch_size=BATCH, verbose=0)[:, 0]


def graph(network: Any, _: Path) -> Score:
    """TensorFlow's graph, as this project scores."""
    import tensorflow as tf

    traced = tf.function(lambda pixels: network(pixels, training=False), reduce_retracing=True)
    return lambda pixels: np.asarray(traced(pixels))[:, 0]


def xla(network: Any, _: Path) -> Score:
    """TensorFlow's graph, compiled by XLA."""
    import tensorflow as tf

    traced = tf.function(lambda pixels: network(pixels, training=False), jit_compile=True)
    return lambda pixels: np.asarray(traced(pixels))[:, 0]


def lite(network: Any, folder: Path) -> Score:
    """LiteRT with XNNPACK, float32."""
    import tensorflow as tf

    network.export(folder / "saved", verbose=False)
    data = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert()
    interpreter = tf.lite.Interpreter(model_content=data, num_threads=os.cpu_count())
    place = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(place, (BATCH, *network.input_shape[1:]))
    interpreter.allocate_tensors()

    def score(pixels: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(place, pixels)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(result))[:, 0]

    return score


def onnx(network: Any, _: Path) -> Score:
    """ONNX Runtime."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    runtime = import_module("onnxruntime")
    # tf2onnx 1.17 asks NumPy for names that NumPy 2 has not; Keras' own export loses captured constants.
    np.object, np.bool = object, bool  # type: ignore[attr-defined, misc]
    convert = import_module("tf2onnx.convert")
    traced = tf.function(lambda pixels: network(pixels, training=False))
    frozen = convert_variables_to_constants_v2(
        traced.get_concrete_function(tf.TensorSpec((None, *network.input_shape[1:]), tf.float32, name="pixels"))
    )
    names = [tensor.name for tensor in frozen.inputs], [tensor.name for tensor in frozen.outputs]
    model, _ = convert.from_graph_def(frozen.graph.as_graph_def(), input_names=names[0], output_names=names[1])
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {names[0][0]: pixels})[0][:, 0]


def openvino(network: Any, folder: Path) -> Score:
    """OpenVINO, float32."""
    library = import_module("openvino")
    network.export(folder / "for_openvino", verbose=False)
    core = library.Core()
    compiled = core.compile_model(
        library.convert_model(str(folder / "for_openvino")), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return lambda pixels: np.asarray(next(iter(compiled(pixels).values())))[:, 0]


def megabytes(*packages: str) -> float:
    """Size of packages on disk, MB."""
    files = (file.locate() for package in packages for file in distribution(package).files or ())
    return sum(Path(str(file)).stat().st_size for file in files if Path(str(file)).is_file()) / 1e6


ENGINES: dict[str, tuple[Callable[[Any, Path], Score], tuple[str, ...]]] = {
    "Keras predict": (keras_predict, ()),
    "TensorFlow graph": (graph, ()),
    "TensorFlow XLA": (xla, ()),
    "LiteRT, XNNPACK": (lite, ()),
    "ONNX Runtime": (onnx, ("onnxruntime",)),
    "OpenVINO": (openvino, ("openvino",)),
}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--patches", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=20.0, help="of measuring, each engine")
    options = parser.parse_args()

    from steel_training.config import Config
    from steel_training.data.dataset import find_dataset
    from steel_training.data.images import read_batches
    from steel_training.ingest.synthetic.sample import make_sample
    from steel_training.training.model_trainer import TransferLearningModel
    from steel_training.training.preprocessing import resize

    with tempfile.TemporaryDirectory() as scratch:
        make_sample(f"{scratch}/strips", coils=max(2, options.patches // 52), photographs_per_coil=2)
        dataset = find_dataset(f"{scratch}/strips")
        batches = read_batches(dataset.storage, list(dataset.manifest["path"])[: options.patches], BATCH)
        pixels = [np.asarray(resize(batch, options.size)) for batch in batches if len(batch) == BATCH]
        config = Config.model_validate({"model": {"weights": "steel"}})
        network = TransferLearningModel.build(config.model, options.size).keras_model
        pooled = network.get_layer("pooled_taps").output
        import keras

        network.get_layer("standardise").adapt(keras.Model(network.input, pooled).predict(pixels[0], verbose=0))
        expected = [np.asarray(network(batch, training=False))[:, 0] for batch in pixels]
        peak, work = matrix_rate(min(3.0, options.seconds)), operations(network)
        print(f"{peak / 1e9:.0f} GFLOP/s by matrix multiplication, {work / 1e9:.3f} GFLOP a patch of {options.size} pixels: at most "
              f"{peak / work:,.0f} patches/s\n")  # fmt: skip
        print("| engine | patches/s | of the machine | apart from Keras, at most | ready after, s | package, MB |")
        print("|---|---|---|---|---|---|")
        for name, (make, packages) in ENGINES.items():
            folder = Path(scratch, name.replace(" ", "_"))
            folder.mkdir()
            started = time.monotonic()
            try:
                score = make(network, folder)
            except ImportError as error:
                print(f"| {name} | not installed: {error} | | | | |", flush=True)
                continue
            apart = float(np.abs(score(pixels[0]) - expected[0]).max())
            ready, begun, done = time.monotonic() - started, time.monotonic(), 0
            while time.monotonic() - begun < options.seconds:
                at = done % len(pixels)
                apart = max(apart, float(np.abs(score(pixels[at]) - expected[at]).max()))
                done += 1
            rate = done * BATCH / (time.monotonic() - begun)
            size = f"{megabytes(*packages):.0f}" if packages else "with TensorFlow"
            print(
                f"| {name} | {rate:,.0f} | {100 * rate * work / peak:.0f} % | {apart:.0e} | {ready:.1f} | {size} |",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
