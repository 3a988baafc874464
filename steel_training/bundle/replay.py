"""Scores a bundle's golden samples and prints the measurements as one line of JSON.

`verify` runs it in a separate process (`python -I replay.py BUNDLE`) that has TensorFlow but not this package, to show that
the bundle does not depend on the package. So this file must not import it.
"""

from __future__ import annotations

import io
import json
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image

# A bundle needs neither; Keras imports them where they are installed, a quarter of the CPU time of importing TensorFlow.
sys.modules.update(dict.fromkeys(("sklearn", "matplotlib")))  # type: ignore[arg-type]
import tensorflow as tf  # noqa: E402

WARM_UP, CALLS, BATCH, BATCHES = 5, 40, 32, 4


class Differences(TypedDict):
    """Golden samples: the largest difference of a score, and the number of labels that differ."""

    max_difference: float
    labels_differ: int


class Latency(TypedDict):
    """Milliseconds of single calls: median and 95th percentile."""

    p50: float
    p95: float


class LiteMeasured(Differences):
    """What is measured on a LiteRT file."""

    latency_ms: Latency


class Measured(Differences):
    """What is measured on the SavedModel; an image is `refused`, `scored` or `not finite`."""

    golden: int
    threshold_difference: float
    corrupt_image: str
    no_image: str
    odd_size_image: str
    patch: list[int] | None
    latency_ms: Latency
    throughput_per_s: float
    memory_mb: float
    lite: dict[str, LiteMeasured]
    foreign_modules: list[str]


def main(folder: Path) -> Measured:
    """Return the measurements of `verify_bundle`."""
    serve = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    expected = json.loads((folder / "golden" / "scores.json").read_text(encoding="utf-8"))
    settings = json.loads((folder / "threshold.json").read_text(encoding="utf-8"))
    threshold, names = settings["threshold"], sorted(expected)
    files = [(folder / "golden" / name).read_bytes() for name in names]
    wanted = np.array([expected[name] for name in names])
    answer = serve(image_bytes=tf.constant(files))
    takes = folder / "input.json"  # a run that was continued by a later version may have none
    patch = json.loads(takes.read_text(encoding="utf-8"))["patch"] if takes.exists() else None
    odd = odd_png(38 if patch == [37, 101] else 37)
    handled = [of_image(serve, image) for image in (files[0][: len(files[0]) // 2], b"no image", odd)]
    one_by_one = latency(lambda i: serve(image_bytes=tf.constant([files[i % len(files)]])))
    batch = tf.constant([files[i % len(files)] for i in range(BATCH)])
    serve(image_bytes=batch)
    started = time.monotonic()
    for _ in range(BATCHES):
        serve(image_bytes=batch)
    throughput, memory = BATCH * BATCHES / (time.monotonic() - started), peak_memory()
    lite = {
        name: of_lite(folder / file, files, settings["input_size"], wanted, threshold)
        for name, file in (("float", "model.tflite"), ("int8", "model_int8.tflite"))
        if (folder / file).exists()
    }
    return {
        "golden": len(names),
        **differences(answer["score"].numpy(), wanted, threshold),
        "threshold_difference": float(np.max(np.abs(answer["threshold"].numpy() - threshold))),
        "corrupt_image": handled[0],
        "no_image": handled[1],
        "odd_size_image": handled[2],
        "patch": patch,
        "latency_ms": one_by_one,
        "throughput_per_s": throughput,
        "memory_mb": memory,
        "lite": lite,
        "foreign_modules": sorted(m for m in sys.modules if m.split(".")[0] == "steel_training"),
    }


def differences(scores: np.ndarray, wanted: np.ndarray, threshold: float) -> Differences:
    """Compare scores (n,) with the recorded ones."""
    return {
        "max_difference": float(abs(scores - wanted).max()),
        "labels_differ": int(((scores >= threshold) != (wanted >= threshold)).sum()),
    }


def latency(call: Callable[[int], object]) -> Latency:
    """Return median and 95th percentile of single calls after warm-up, milliseconds."""
    for number in range(WARM_UP):
        call(number)
    milliseconds = []
    for number in range(CALLS):
        started = time.monotonic()
        call(number)
        milliseconds.append(1000 * (time.monotonic() - started))
    milliseconds.sort()
    return {"p50": milliseconds[CALLS // 2], "p95": milliseconds[int(CALLS * 0.95)]}


def peak_memory() -> float:
    """Return the peak resident memory of this process in MiB.

    Not `ru_maxrss`: on Linux a child process inherits its parent's.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM: the peak memory cannot be measured here")


def of_image(serve: Callable[..., dict[str, tf.Tensor]], data: bytes) -> str:
    """Return how the SavedModel handles a file: `refused`, `scored`, or `not finite`."""
    try:
        score = float(serve(image_bytes=tf.constant([data]))["score"].numpy()[0])
    except tf.errors.InvalidArgumentError:
        return "refused"
    return "scored" if 0 <= score <= 1 else "not finite"


def of_lite(path: Path, files: list[bytes], size: int, wanted: np.ndarray, threshold: float) -> LiteMeasured:
    """Score the golden samples with a LiteRT file; images are decoded as a caller would."""
    interpreter = tf.lite.Interpreter(model_path=str(path), num_threads=2)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def pixels(data: bytes) -> np.ndarray:
        image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)[None]
        return np.asarray(tf.image.resize(image, (size, size), method="bilinear", antialias=True))

    def score(patch: np.ndarray) -> float:
        interpreter.set_tensor(taken, patch)
        interpreter.invoke()
        return float(interpreter.get_tensor(given).ravel()[0])

    patches = [pixels(data) for data in files]
    found = differences(np.array([score(patch) for patch in patches]), wanted, threshold)
    return {**found, "latency_ms": latency(lambda i: score(patches[i % len(patches)]))}


def odd_png(width: int = 37, height: int = 101) -> bytes:
    """Return a grey PNG of a size that patches do not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * y) % 251 for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(Path(sys.argv[1]))) + "\n")
