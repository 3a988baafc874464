"""Heat maps: for every patch, the regions that raised its score.

Grad-CAM (Selvaraju et al. 2017) weights the channels of a convolutional layer by the gradient of the score and sums them.
HiResCAM (Draelos and Carin 2020) uses the gradient at every position instead of its mean over the patch, which is needed for a
head that uses standard deviations: the same channel may raise the score at one position and lower it at another.

The head uses mean and standard deviation of several feature layers. They all depend on the lowest one, so its gradient includes
every path, and its map has the highest resolution: at 96 pixels it has 24 × 24 positions, the highest feature layer 3 × 3. With
gradient g of the logit by activation a of channel k at a position, and m the mean of the channel over the patch, the map is

    relu( Σ_k g (a − m) )

What is constant over the patch does not distinguish positions, hence a − m. On synthetic steel with known defects the lowest
feature layer put 2.35 times the share on the defect that chance would, the sum over all feature layers 1.47, the highest alone
1.28.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import keras
import matplotlib as mpl
import numpy as np
import pandas as pd
import tensorflow as tf
from PIL import Image

from steel_training.data.images import as_png, read_batches
from steel_training.data.patches import PatchSet
from steel_training.errors import SteelTrainingError
from steel_training.training.backbones import SPECS
from steel_training.training.explanations import FALSE_ALARM, INDEX, MISSED, Explanation, Kind
from steel_training.training.model_trainer import POOLED, SCORE
from steel_training.training.preprocessing import resize

SHOWN_A_KIND = 24
# Pixels. The report embeds all of them in one file.
SHOWN_SIDE = 128
_BATCH = 16


class NothingToExplain(SteelTrainingError):
    """The network is not a `TransferLearningModel`: it has no feature layers to explain it by."""


def heat_maps(network: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """Return a heat map of each patch: which regions raised its score.

    Args:
        network: Keras model of `TransferLearningModel`, or its scoring model; if that averages over mirror images, so does
            the map.
        pixels: (n, size, size, 3), 0-255, of the network's input size.

    Returns:
        float32 (n, size, size), 0..1: 1 at the strongest position of a patch; all 0 if nothing raised its score.

    Raises:
        NothingToExplain: the network has no feature layers.
    """
    network, mirrored = _inner(network)
    compute = _heat_map_function(network)
    found = np.zeros(pixels.shape[:3], np.float32)
    flips = [(1, 1), (1, -1), (-1, 1), (-1, -1)] if mirrored else [(1, 1)]
    for start in range(0, len(pixels), _BATCH):
        batch = np.asarray(pixels[start : start + _BATCH], np.float32)
        for down, across in flips:
            found[start : start + _BATCH] += compute(batch[:, ::down, ::across])[:, ::down, ::across] / len(flips)
    strongest = found.max(axis=(1, 2), keepdims=True)
    scaled: np.ndarray = np.divide(found, strongest, out=np.zeros_like(found), where=strongest > 0)
    return scaled


def overlay(patch: np.ndarray, heat_map: np.ndarray) -> np.ndarray:
    """Overlay a heat map on its patch: grey, with the inferno colour map, and a white contour at half the maximum.

    The contour makes the map readable without colour vision.

    Args:
        patch: uint8 (height, width, 3).
        heat_map: float32 (height, width), 0..1.

    Returns:
        uint8 (height, width, 3).
    """
    grey = patch.astype(np.float32).mean(axis=2, keepdims=True) * np.ones(3, np.float32)
    colour = mpl.colormaps["inferno"](0.4 + 0.55 * heat_map)[..., :3] * 255
    opacity = (0.8 * heat_map)[..., None]
    mixed = (1 - opacity) * grey + opacity * colour
    inside = heat_map >= 0.5
    shrunk = np.pad(inside, 1)
    shrunk = shrunk[1:-1, 1:-1] & shrunk[:-2, 1:-1] & shrunk[2:, 1:-1] & shrunk[1:-1, :-2] & shrunk[1:-1, 2:]
    mixed[inside & ~shrunk] = 255
    shown: np.ndarray = np.clip(mixed, 0, 255).astype(np.uint8)
    return shown


def keep_heat_maps(
    network: keras.Model, patches: PatchSet, table: pd.DataFrame, threshold: float, folder: Path
) -> list[Explanation]:
    """Write images of the worst mistakes on a split: missed defects with the lowest scores, false alarms with the highest.

    Args:
        network: the scoring model.
        patches: of the split.
        table: one row per patch in the same order: patch_id, label, score; probability, defect_type, source_id if known.
        threshold: operating threshold on the score.
        folder: new folder for PNG files and `index.json`.
    """
    folder.mkdir(parents=True)
    worst = _worst(table, threshold)
    paths = [patches.paths[place] for place, _ in worst]
    kept: list[Explanation] = []
    batches = list(read_batches(patches.storage, paths, _BATCH))
    size = int(network.input_shape[1])
    maps: Iterable[np.ndarray] = ()
    if worst:
        maps = heat_maps(network, np.concatenate([np.asarray(resize(batch, size)) for batch in batches]))
    originals = (pixels for batch in batches for pixels in batch)
    for (place, kind), pixels, heat_map in zip(worst, originals, maps, strict=True):
        shown = _shrunk(pixels)
        row = table.iloc[place]
        name = f"{kind}_{len(kept):02d}"
        (folder / f"{name}.png").write_bytes(as_png(shown))
        (folder / f"{name}_looked.png").write_bytes(_small_png(overlay(shown, _scaled(heat_map, shown.shape[:2]))))
        kept.append(
            Explanation(
                patch_id=str(row["patch_id"]),
                kind=kind,
                label=int(row["label"]),
                score=float(row["score"]),
                probability=_number(row.get("probability")),
                defect_type=_text(row.get("defect_type")),
                source_id=_text(row.get("source_id")),
                patch=f"{name}.png",
                overlay=f"{name}_looked.png",
            )
        )
    (folder / INDEX).write_text(json.dumps([asdict(each) for each in kept], indent=2), encoding="utf-8")
    return kept


def _inner(network: keras.Model) -> tuple[keras.Model, bool]:
    """Return the network with the feature layers, and whether scores are averaged over mirror images."""
    nested = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    return (nested[0], True) if nested else (network, False)


def _heat_map_function(network: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from pixels (n, size, size, 3) to heat maps (n, size, size) that are not scaled to 1."""
    layer = _lowest_feature_layer(network)
    last = network.get_layer(SCORE)
    # The logit, not the score: where the sigmoid saturates, the gradient of the score is only rounding error.
    paths = keras.Model(network.input, [network.get_layer(layer).output, last.input])
    size = int(network.input_shape[1])
    batch = tf.TensorSpec([None, size, size, 3], tf.float32)  # a last batch of fewer patches is not another graph

    @tf.function(input_signature=[batch])  # type: ignore[untyped-decorator]
    def compute(pixels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            activation, hidden = paths(pixels, training=False)
            logit = tf.matmul(hidden, last.kernel)
        gradient = tape.gradient(logit, activation)
        deviation = activation - tf.reduce_mean(activation, axis=(1, 2), keepdims=True)
        found = tf.nn.relu(tf.reduce_sum(gradient * deviation, axis=-1, keepdims=True))
        return tf.image.resize(found, (size, size))[..., 0]

    return lambda pixels: np.asarray(compute(tf.constant(pixels)))


def _lowest_feature_layer(network: keras.Model) -> str:
    names = {layer.name for layer in network.layers}
    for spec in SPECS.values():
        if {POOLED, SCORE, *spec.feature_layers} <= names:
            return spec.feature_layers[0]
    raise NothingToExplain(
        f"The network '{network.name}' is not one of {', '.join(SPECS)} with our head: it has no feature layers to explain it by."
    )


def _worst(table: pd.DataFrame, threshold: float) -> list[tuple[int, Kind]]:
    scores, defective = table["score"].to_numpy(float), table["label"].to_numpy(int) == 1
    missed = np.flatnonzero(defective & (scores < threshold))
    alarms = np.flatnonzero(~defective & (scores >= threshold))
    missed, alarms = (
        missed[np.argsort(scores[missed], kind="stable")],
        alarms[np.argsort(-scores[alarms], kind="stable")],
    )
    return [
        (int(place), kind)
        for kind, places in ((MISSED, missed), (FALSE_ALARM, alarms))
        for place in places[:SHOWN_A_KIND]
    ]


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    image = Image.fromarray(pixels)
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return np.asarray(image)


def _scaled(heat_map: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    return np.asarray(Image.fromarray(heat_map).resize((width, height), Image.Resampling.BILINEAR))


def _small_png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).quantize(96).save(data, format="PNG", optimize=True)
    return data.getvalue()


def _number(value: float | None) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _text(value: str | None) -> str | None:
    return None if value is None or pd.isna(value) or not str(value) else str(value)
