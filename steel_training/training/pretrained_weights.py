"""Loading of pretrained backbone weights, with the correction that Keras' ImageNet weights need.

Keras builds EfficientNet with one more rescaling layer when it is asked for `weights="imagenet"`: the published weights
were trained with inputs divided once more by the square root of the standard deviation, and the Normalization layer
divides only once (keras/src/applications/efficientnet.py). A model built with `weights=None`, into which the same file is
loaded, lacks that layer and sees inputs of about half the contrast. Here the division is folded into the variance of the
Normalization layer, so that one graph serves every source of weights.
"""

from __future__ import annotations

import hashlib
import logging
import random
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import h5py
import keras
import numpy as np
from keras.src.applications.efficientnet import IMAGENET_STDDEV_RGB

from steel_training.storage import ObjectNotFound, open_storage
from steel_training.training.backbones import BackboneSpec
from steel_training.training.weights_source import (
    AUTO,
    IMAGENET,
    NONE,
    PACKAGED,
    STEEL,
    LoadedWeights,
    WeightsUnusable,
    check_weights,
    no_file,
    split_uri,
)

log = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT_S = 20.0


def load_weights(backbone: keras.Model, spec: BackboneSpec, wanted: str) -> LoadedWeights:
    """Load initial weights into a backbone built with `weights=None`.

    Args:
        backbone: Keras model of `spec`, `include_top=False`.
        spec: the backbone's description.
        wanted: `auto`, `imagenet`, `steel`, `none`, or the path or S3 URI of a weights file.

    Returns:
        What was loaded. `auto` uses ImageNet if it can be downloaded, else the project's own, else random weights, and
        reports which and why.

    Raises:
        WeightsNotFound: the file does not exist.
        WeightsUnusable: the download failed (`imagenet`), or the file does not fit the backbone.
    """
    with _random_state_preserved():
        return _load(backbone, spec, wanted)


@contextmanager
def _random_state_preserved() -> Iterator[None]:
    """Restore the random state, so that a failed download does not change the initial weights of the head."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _load(backbone: keras.Model, spec: BackboneSpec, wanted: str) -> LoadedWeights:
    if wanted == NONE:
        return LoadedWeights(NONE, "random, as configured (model.weights: none)", random=True)
    if wanted == IMAGENET:
        return _load_imagenet(backbone, spec)
    if wanted == STEEL:
        return _load_steel(backbone, spec)
    if wanted != AUTO:
        return _load_file(backbone, spec, wanted)
    try:
        return _load_imagenet(backbone, spec)
    except WeightsUnusable as error:
        if spec.name in PACKAGED:
            log.info("%s", error)
            return _load_steel(backbone, spec)
        why = f"{error} The project's own steel weights are for {', '.join(PACKAGED)}: that backbone needs no internet."
        log.warning("%s", why)
        return LoadedWeights(NONE, f"random: {why}", random=True)


def _load_imagenet(backbone: keras.Model, spec: BackboneSpec) -> LoadedWeights:
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)  # otherwise urllib, which Keras uses, waits forever
    try:
        with redirect_stdout(sys.stderr):  # Keras prints its progress; standard output is for the caller's JSON
            published = spec.application()(include_top=False, weights=IMAGENET, input_shape=backbone.input_shape[1:])
    except Exception as error:
        raise WeightsUnusable(
            f"ImageNet weights of {spec.name} cannot be downloaded here ({error}). On a machine without internet set "
            "model.weights to a weights file (path or s3:// URI)."
        ) from error
    finally:
        socket.setdefaulttimeout(previous)
    backbone.set_weights(published.get_weights())
    _fold_extra_rescaling(
        backbone, [layer for layer in published.layers if layer.__class__.__name__ == "Rescaling"][1:]
    )
    return LoadedWeights(IMAGENET, f"{spec.name}, ImageNet, downloaded by Keras", random=False)


def _load_steel(backbone: keras.Model, spec: BackboneSpec) -> LoadedWeights:
    check_weights(STEEL, spec.name)
    path = PACKAGED[spec.name]
    expected = path.with_suffix(".sha256").read_text(encoding="ascii").split()[0]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise WeightsUnusable(
            f"{path} is not the file that was packed (SHA-256 {found[:16]}…, expected {expected[:16]}…). Install the package again."
        )
    backbone.load_weights(path)
    return LoadedWeights(STEEL, f"{spec.name}, the project's own steel weights ({expected[:12]})", random=False)


def _load_file(backbone: keras.Model, spec: BackboneSpec, wanted: str) -> LoadedWeights:
    with _local_copy(wanted) as path:
        try:
            backbone.load_weights(path)
            rescaled = _was_saved_with_extra_rescaling(path)
        except (ValueError, OSError, KeyError) as error:
            raise WeightsUnusable(
                f"The weights file {wanted} does not fit {spec.name} without its top: {error}. "
                f"Expected a file saved from keras.applications.{spec.name}(include_top=False)."
            ) from error
    if rescaled:
        _fold_imagenet_deviation(backbone)
    note = ", with the rescaling of Keras' ImageNet model put back" if rescaled else ""
    return LoadedWeights("file", f"{wanted}{note}", random=False)


def _was_saved_with_extra_rescaling(path: Path) -> bool:
    """Detect Keras' own ImageNet files, and models saved from them, by their layers.

    Keras' published EfficientNet files are in the older HDF5 layout (root attribute `layer_names`). A Keras 3 file
    lists its layers as groups; a model built with `weights="imagenet"` has a second Rescaling layer among them.
    """
    with h5py.File(path) as file:
        older = file.get("model_weights", file)  # a whole model, or its weights only
        if "layer_names" in older.attrs:
            names = [name.decode() if isinstance(name, bytes) else str(name) for name in older.attrs["layer_names"]]
            return any(name.startswith("normalization") for name in names)  # numbered when it is not the first
        return "layers" in file and "rescaling_1" in file["layers"]


def _fold_extra_rescaling(backbone: keras.Model, extra: list[keras.layers.Layer]) -> None:
    for layer in extra:
        _divide_after_normalization(backbone, [1.0 / scale for scale in layer.scale])


def _fold_imagenet_deviation(backbone: keras.Model) -> None:
    _divide_after_normalization(backbone, [deviation**0.5 for deviation in IMAGENET_STDDEV_RGB])


def _divide_after_normalization(backbone: keras.Model, divisors: list[float]) -> None:
    """Make the Normalization layer divide its output by `divisors` as well: (x - mean) / sqrt(variance · divisor²)."""
    layer = next((layer for layer in backbone.layers if layer.__class__.__name__ == "Normalization"), None)
    if layer is None:
        return
    mean, variance, *count = layer.get_weights()
    layer.set_weights([mean, variance * np.square(divisors), *count])
    layer.finalize_state()


@contextmanager
def _local_copy(uri: str) -> Iterator[Path]:
    parent, name = split_uri(uri)
    storage = open_storage(parent)
    # Keras recognises the format by the suffix.
    suffix = ".weights.h5" if name.endswith(".weights.h5") else Path(name).suffix
    try:
        data = storage.read(name)
    except ObjectNotFound:
        raise no_file(uri) from None
    with tempfile.NamedTemporaryFile(prefix="steel-training-", suffix=suffix) as copy:
        copy.write(data)
        copy.flush()
        yield Path(copy.name)
