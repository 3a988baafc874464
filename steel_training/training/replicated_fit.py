"""Training on several replicas at once: each step's batch is split over them, and all end with the same weights.

Keras' own `fit` averages the means of the replicas, so that a patch of a short last batch counts for too much, and with several
workers it is known to fail (keras-team/keras issue 20585). Here a replica sums its losses, the sum is divided by the number of
patches in the whole batch, and metrics are sums of counts. So a step has the same result as on one device.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from steel_training.training.cached_batches import Inputs


class Batches(Protocol):
    """Batches of one epoch after another."""

    def __len__(self) -> int: ...

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        ...

    def rows(self, index: int) -> np.ndarray:
        """Return the patches of a batch, int (n,)."""
        ...

    def take(self, rows: np.ndarray) -> tuple[Inputs, np.ndarray, np.ndarray]:
        """Return input or inputs (n, …), target (n, 1) and weight (n,) of patches, all float32."""
        ...


def is_replicated(strategy: tf.distribute.Strategy) -> bool:
    """Return whether there is more than one replica."""
    return int(strategy.num_replicas_in_sync) > 1


def fit(
    network: keras.Model,
    train: Batches,
    val: Batches,
    *,
    strategy: tf.distribute.Strategy,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    first: int = 0,
) -> None:
    """Do the same as `network.fit(train, validation_data=val, …)`, on every replica of a strategy.

    Every worker runs all callbacks, since reading a metric is a collective operation. Networks with a trainable
    BatchNormalization are not supported: it would only see a replica's shard of a batch.

    Args:
        network: of a list of inputs; compiled in the strategy's scope, with a loss object.
        train: batches, each divided among the replicas.
        val: the same.
        strategy: with several replicas.
        epochs: maximum number.
        callbacks: Keras callbacks.
        first: first epoch to run, from 0; less than `epochs`.
    """
    optimizer = network.optimizer
    with strategy.scope():
        total = keras.metrics.Mean(name="loss")
        optimizer.build(network.trainable_variables)
    loss = type(network.loss).from_config({**network.loss.get_config(), "reduction": "sum"})

    def forward(
        inputs: tf.Tensor | tuple[tf.Tensor, ...], target: tf.Tensor, weight: tf.Tensor, *, training: bool
    ) -> tf.Tensor:
        scores = network(_listed(inputs), training=training)[: tf.shape(target)[0]]
        summed = loss(target, scores, sample_weight=weight)
        patches = tf.cast(tf.shape(target)[0], tf.float32)
        total.update_state(tf.math.divide_no_nan(summed, patches), sample_weight=patches)
        network.compute_metrics(inputs, target, scores, sample_weight=weight)
        return summed

    def train_step(
        inputs: tf.Tensor | tuple[tf.Tensor, ...], target: tf.Tensor, weight: tf.Tensor, patches: tf.Tensor
    ) -> None:
        with tf.GradientTape() as tape:
            mean = forward(inputs, target, weight, training=True) / patches
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(mean, variables), variables, strict=True))

    def validation_step(
        inputs: tf.Tensor | tuple[tf.Tensor, ...], target: tf.Tensor, weight: tf.Tensor, _: tf.Tensor
    ) -> None:
        forward(inputs, target, weight, training=False)

    # Traced once, since the iterator leaves the shapes open: workers that trace at different times wait for each other.
    # There is nothing for AutoGraph, which would read this file again.
    train_on_next = tf.function(lambda it: strategy.run(train_step, args=it.get_next()), autograph=False)
    validate_on_next = tf.function(lambda it: strategy.run(validation_step, args=it.get_next()), autograph=False)

    def results() -> dict[str, float]:
        values = {name: float(value) for name, value in network.get_metrics_result().items()}
        return {**values, "loss": float(total.result())}

    def reset() -> None:
        network.reset_metrics()
        total.reset_state()

    callback_list = keras.callbacks.CallbackList(
        list(callbacks), add_history=False, model=network, epochs=epochs, steps=len(train), verbose=0
    )
    steps = list(range(len(train)))
    training, validation = _distributed(strategy, train, steps), _distributed(strategy, val, list(range(len(val))))
    network.stop_training = False
    # As Keras does, from the same seeds: all workers, and a single device, see the patches in the same order.
    train.on_epoch_end()
    callback_list.on_train_begin()
    for epoch in range(first, epochs):
        reset()
        callback_list.on_epoch_begin(epoch)
        steps[:] = range(len(train))
        random.shuffle(steps)
        batches = iter(training)
        for step in range(len(train)):
            callback_list.on_train_batch_begin(step)
            train_on_next(batches)
            callback_list.on_train_batch_end(step)
        logs = results()
        train.on_epoch_end()
        reset()
        callback_list.on_test_begin()
        batches = iter(validation)
        for step in range(len(val)):
            callback_list.on_test_batch_begin(step)
            validate_on_next(batches)
            callback_list.on_test_batch_end(step)
        validated = results()
        callback_list.on_test_end(validated)
        logs |= {f"val_{name}": value for name, value in validated.items()}
        callback_list.on_epoch_end(epoch, logs)
        if network.stop_training:
            break
    callback_list.on_train_end(logs)


def scores(network: keras.Model, batches: Batches) -> np.ndarray:
    """Return the scores (n,) of all patches in order, from the weights of this process only."""
    shards = [network(_listed(batches.take(batches.rows(index))[0]), training=False) for index in range(len(batches))]
    return np.concatenate([np.asarray(shard)[:, 0] for shard in shards])


def spread(
    forward: Callable[[tf.Tensor], Sequence[tf.Tensor]], strategy: tf.distribute.Strategy
) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
    """Make a function of a batch use all devices of this machine, each for a shard of the batch.

    Args:
        forward: tensor (n, …) → tensors (n, …); the values of a patch must not depend on the others.
        strategy: over those devices.
    """
    replicas = len(strategy.extended.worker_devices) if is_replicated(strategy) else 1
    if replicas == 1:
        return forward

    def over_all(batch: tf.Tensor) -> list[tf.Tensor]:
        # Convolutions do not accept an empty shard: if there are too few patches, the last one is computed several times.
        count = len(batch)
        rows = np.minimum(np.arange(max(count, replicas)), count - 1)
        shards = [tf.gather(batch, shard) for shard in np.array_split(rows, replicas)]
        values = strategy.experimental_distribute_values_from_function(
            lambda context: shards[context.replica_id_in_sync_group % replicas]
        )
        outputs = strategy.run(forward, args=(values,))
        return [tf.concat(strategy.experimental_local_results(output), axis=0)[:count] for output in outputs]

    return over_all


def _listed(inputs: tf.Tensor | tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
    return list(inputs) if isinstance(inputs, tuple) else [inputs]


def _distributed(
    strategy: tf.distribute.Strategy, batches: Batches, order: list[int]
) -> tf.distribute.DistributedDataset:
    """Give each replica its shard of every batch, in an order that may change between epochs, and the size of the batch."""
    replicas = int(strategy.num_replicas_in_sync)
    inputs, target, weight = batches.take(batches.rows(0)[:0])

    def spec(array: np.ndarray) -> tf.TensorSpec:
        return tf.TensorSpec((None, *array.shape[1:]), tf.float32)

    signature = (
        tuple(map(spec, inputs)) if isinstance(inputs, tuple) else spec(inputs),
        spec(target),
        spec(weight),
        tf.TensorSpec((), tf.float32),
    )

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * local

        def shards() -> Iterator[tuple[Inputs, np.ndarray, np.ndarray, np.float32]]:
            for index in order:
                rows = batches.rows(index)
                for shard in np.array_split(rows, replicas)[first : first + local]:
                    # Convolutions do not accept an empty batch: an idle replica gets a patch, but no target.
                    inputs, target, weight = batches.take(shard if len(shard) else rows[:1])
                    yield inputs, target[: len(shard)], weight[: len(shard)], np.float32(len(rows))

        return tf.data.Dataset.from_generator(shards, output_signature=signature).prefetch(2 * local)

    return strategy.distribute_datasets_from_function(of_worker)
