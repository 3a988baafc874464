"""Trains the EfficientNetB0 that the package ships: from ImageNet-like weights, on synthetic steel, for any number of steps.

    python pretraining/train_backbone.py START OUT [--steps N] [--minutes M]

START is a weights file of EfficientNetB0 without its top, OUT a folder. A training in OUT is continued
exactly, since every batch is drawn from its step number. Every few minutes, and at the end, OUT gets
`backbone.weights.h5` (the running mean of the weights), from which `pack_backbone.py` makes the file that is shipped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

SIZE, BATCH = 128, 48
RATE, WARM_UP = 3e-4, 300
AVERAGED_OVER = 1000
SAVE_EVERY_S = 300
PAINTERS = 2


def batch_of(step: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the batch of a step: pixels uint8 (n, size, size), kinds (n, k), where (n, grid, grid, k)."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from surfaces import PATCHES_PER_STRIP, patches_of_strip

    rng = np.random.default_rng([seed, step])
    strips = [patches_of_strip(rng, SIZE) for _ in range(BATCH // PATCHES_PER_STRIP)]
    return (
        np.concatenate([strip.pixels for strip in strips]),
        np.concatenate([strip.kinds for strip in strips]),
        np.concatenate([strip.where for strip in strips]),
    )


def batches(first: int, last: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the batches of the steps first … last - 1, drawn a few ahead by other processes."""
    with multiprocessing.get_context("spawn").Pool(PAINTERS) as pool:
        numbers = iter(range(first, last))
        waiting = deque(pool.apply_async(batch_of, (step, seed)) for step in islice(numbers, 2 * PAINTERS + 2))
        while waiting:
            yield waiting.popleft().get()
            waiting.extend(pool.apply_async(batch_of, (step, seed)) for step in islice(numbers, 1))


def build(start: str) -> tuple[Any, Any]:
    """Return the backbone with START's weights, and the network that trains it to predict kinds and their places."""
    import keras
    from kinds import KINDS
    from surfaces import GRID

    from steel_training.training.backbones import SPECS
    from steel_training.training.pretrained_weights import load_weights

    spec = SPECS["EfficientNetB0"]
    backbone = spec.build(SIZE)
    load_weights(backbone, spec, start)
    outputs = {}
    moments = []
    for layer in (*spec.feature_layers, "top_activation"):
        features = backbone.get_layer(layer).output
        mean = keras.layers.GlobalAveragePooling2D(keepdims=True)(features)
        variance = keras.layers.GlobalAveragePooling2D()(keras.ops.square(features - mean))
        moments += [keras.layers.Flatten()(mean), keras.ops.sqrt(variance + 1e-5)]
        side = int(features.shape[1])
        if side > GRID:
            features = keras.layers.MaxPooling2D(side // GRID)(features)
        if side < GRID:
            features = keras.layers.UpSampling2D(GRID // side, interpolation="bilinear")(features)
        outputs[f"where_{layer}"] = keras.layers.Conv2D(len(KINDS), 1, name=f"where_{layer}")(features)
    x = keras.layers.BatchNormalization()(keras.layers.Concatenate()(moments))
    x = keras.layers.Dropout(0.2)(keras.layers.Dense(256, activation="relu")(x))
    outputs["kinds"] = keras.layers.Dense(len(KINDS), name="kinds")(x)
    return backbone, keras.Model(backbone.input, outputs)


def main() -> int:
    """Train for the given steps or minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start")
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--steps",
        type=int,
        default=6000,
        help="steps of 48 patches, over which the learning rate decays to zero (6000)",
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this time; continue later")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    backbone, network = build(options.start)
    warm_up = min(WARM_UP, options.steps // 4)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, options.steps - warm_up, 0.01, warmup_target=RATE, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=0.01, global_clipnorm=1.0, use_ema=True, ema_momentum=1 - 1 / AVERAGED_OVER
    )
    optimizer.build(network.trainable_variables)
    saved = tf.train.Checkpoint(network=network, optimizer=optimizer)
    manager = tf.train.CheckpointManager(saved, str(options.out / "checkpoints"), max_to_keep=2)
    if manager.latest_checkpoint:
        saved.restore(manager.latest_checkpoint).expect_partial()
    first = int(optimizer.iterations.numpy())
    # Dropout counts its draws; a checkpoint does not hold the count, so that training goes on from the step's own number.
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            seed, _ = np.asarray(layer.seed_generator.state)
            layer.seed_generator.state.assign([seed, first])

    def masked(truth: Any, logits: Any) -> Any:
        known = tf.math.is_finite(truth)
        loss = tf.nn.sigmoid_cross_entropy_with_logits(tf.where(known, truth, 0.0), logits)
        return tf.reduce_sum(tf.where(known, loss, 0.0)) / tf.maximum(tf.reduce_sum(tf.cast(known, tf.float32)), 1.0)

    @tf.function
    def learn(pixels: Any, kinds: Any, where: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            found = network(tf.repeat(tf.cast(pixels, tf.float32)[..., None], 3, -1), training=True)
            what = masked(kinds, found["kinds"])
            place = tf.add_n([masked(where, found[name]) for name in found if name != "kinds"]) / (len(found) - 1)
            total = what + place
        optimizer.apply_gradients(
            zip(tape.gradient(total, network.trainable_variables), network.trainable_variables, strict=True)
        )
        return what, place

    def save() -> None:
        manager.save()
        trained = [variable.numpy() for variable in network.trainable_variables]
        optimizer.finalize_variable_values(network.trainable_variables)
        backbone.save_weights(options.out / "backbone.weights.h5")
        for variable, value in zip(network.trainable_variables, trained, strict=True):
            variable.assign(value)

    started = last_saved = time.monotonic()
    recent: list[tuple[float, float]] = []
    for step, batch in enumerate(batches(first, options.steps, options.seed), start=first):
        recent.append(tuple(float(value) for value in learn(*batch)))
        if (step + 1) % 50 == 0:
            what, place = np.mean(recent, axis=0).tolist()
            speed = (step + 1 - first) * BATCH / (time.monotonic() - started)
            line = {
                "step": step + 1,
                "kinds": round(what, 4),
                "where": round(place, 4),
                "patches_per_s": round(speed, 1),
            }
            with open(options.out / "log.jsonl", "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            print(line, flush=True)
            recent.clear()
        if time.monotonic() - last_saved > SAVE_EVERY_S:
            save()
            last_saved = time.monotonic()
        if time.monotonic() - started > 60 * options.minutes:
            break
    save()
    return 0


if __name__ == "__main__":
    sys.exit(main())
