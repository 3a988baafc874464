"""The networks, and how they are trained: `BaselineCNN`, `TransferLearningModel`, `ModelTrainer`.

`ModelTrainer` runs frozen layers only once: it cuts the network at the freeze boundary, computes the outputs below it once per
patch and augmentation (see `feature_cache`), and trains the layers above.
"""

from __future__ import annotations

import logging
import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from steel_training.config import BaselineConfig, Config, FineTuneConfig, HeadConfig, ModelConfig, TrainingConfig
from steel_training.data.patches import PatchSet
from steel_training.progress import counting
from steel_training.storage.json_types import Json
from steel_training.training import monitoring, replicated_fit
from steel_training.training.backbones import SPECS, BackboneSpec, UnknownLayer
from steel_training.training.cached_batches import CachedBatches
from steel_training.training.depthwise import as_matrices
from steel_training.training.feature_cache import CachedArray, FeatureCache
from steel_training.training.frozen_features import Cached, FrozenFeatures, images_of_training
from steel_training.training.memory import keep_freed_memory
from steel_training.training.monitoring.epoch_bar import epoch_bar
from steel_training.training.pretrained_weights import load_weights
from steel_training.training.resumption import Resumption
from steel_training.training.saved_network import load_network
from steel_training.training.strategy import choose_strategy
from steel_training.training.unfinished import Unfinished
from steel_training.training.weights_source import LoadedWeights

log = logging.getLogger(__name__)

POOLED, SCORE = "pooled_taps", "score"


@dataclass(frozen=True)
class Training:
    """Result of one training, besides the weights in the model.

    Attributes:
        history: one value per epoch for every metric.
        best_epoch: whose weights were kept, from 1; 0 if nothing was trained.
        stopped: `early`, `epochs` or `skipped`.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0
    stopped: str = "skipped"

    def as_dict(self) -> dict[str, Json]:
        """Return the fields as JSON values."""
        epochs = len(self.history.get("loss", ()))
        return {"history": self.history, "best_epoch": self.best_epoch, "epochs": epochs, "stopped": self.stopped}


class BaselineCNN:
    """The small CNN that checks a dataset before expensive training: four blocks 32→64→128→256 (design default)."""

    FILTERS = (32, 64, 128, 256)

    def __init__(self, config: BaselineConfig, dropout: float = 0.5) -> None:
        pixels = keras.Input((config.input_size, config.input_size, 3), name="pixels")
        x = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
        for filters in self.FILTERS:
            x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = keras.layers.BatchNormalization(momentum=0.9)(x)  # with few steps per epoch, 0.99 lags behind
            x = keras.layers.ReLU()(x)
            x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        x = keras.layers.Dense(256, activation="relu")(x)
        x = keras.layers.Dropout(dropout)(x)
        self.keras_model = keras.Model(
            pixels, keras.layers.Dense(1, activation="sigmoid", name=SCORE)(x), name="baseline_cnn"
        )


class TransferLearningModel:
    """A pretrained backbone with a small head on several of its feature layers.

    The head: mean and standard deviation of every feature layer over the patch → standardised by the training split → Dense →
    Dropout → sigmoid. Everything is one flat Keras graph of stock layers, from pixels 0-255 to score, so that it can be cut
    anywhere and saved safely.
    """

    def __init__(self, keras_model: keras.Model, spec: BackboneSpec, weights: LoadedWeights) -> None:
        self.keras_model = keras_model
        self.spec = spec
        self.weights = weights

    @classmethod
    def build(cls, config: ModelConfig, input_size: int) -> TransferLearningModel:
        """Build the network and load its initial weights.

        Raises:
            WeightsNotFound: the named file does not exist.
            WeightsUnusable: it does not fit, or ImageNet cannot be downloaded.
        """
        with choose_strategy().scope():
            return cls._build(config, input_size)

    @classmethod
    def _build(cls, config: ModelConfig, input_size: int) -> TransferLearningModel:
        spec = SPECS[config.backbone]
        backbone = spec.build(input_size)
        weights = load_weights(backbone, spec, config.weights)
        (log.warning if weights.random else log.info)("backbone %s, weights: %s", spec.name, weights.detail)
        pooled = keras.layers.Concatenate(name=POOLED)([_moments(backbone, layer) for layer in spec.feature_layers])
        x = keras.layers.Normalization(name="standardise")(pooled)
        x = keras.layers.Dense(config.head_units, activation="relu", name="head")(x)
        x = keras.layers.Dropout(config.dropout, name="dropout")(x)
        score = keras.layers.Dense(1, activation="sigmoid", dtype="float32", name=SCORE)(x)
        return cls(keras.Model(backbone.input, score, name=f"steel_{spec.name.lower()}"), spec, weights)

    @classmethod
    def load(cls, path: Path, config: ModelConfig, weights: LoadedWeights) -> TransferLearningModel:
        """Load a saved network; nothing in the file can run code."""
        with choose_strategy().scope():
            network = load_network(path)
        return cls(network, SPECS[config.backbone], weights)

    @property
    def input_size(self) -> int:
        """Side of the input, pixels."""
        return int(self.keras_model.input_shape[1])

    def boundary(self, from_layer: str) -> list[keras.KerasTensor]:
        """Return the tensors that cross a cut above a layer: its output, and the pooled feature layers below it.

        Raises:
            UnknownLayer: there is no such layer, or a skip connection crosses the cut.
        """
        name = self.spec.from_layer if from_layer == "auto" else from_layer
        names = [layer.name for layer in self.keras_model.layers]
        cuts = [n for n in names if n.endswith(("_add", "_out")) and not n.startswith("pooled_")]
        if name not in cuts:
            raise UnknownLayer(
                f"training.fine_tune.from_layer is '{name}'; {self.spec.name} can be cut after: {', '.join(cuts)}."
            )
        place = names.index(name)
        below = [layer for layer in self.spec.feature_layers if names.index(layer) <= place]
        tensors = [self.keras_model.get_layer(name).output]
        tensors += [self.keras_model.get_layer(f"pooled_{layer}").output for layer in below]
        try:
            keras.Model(tensors, self.keras_model.output)
        except ValueError as error:
            raise UnknownLayer(f"{self.spec.name} cannot be cut after '{name}': {error}") from None
        return tensors

    def pooled(self) -> list[keras.KerasTensor]:
        """Return the tensor between backbone and head."""
        return [self.keras_model.get_layer(POOLED).output]

    def trunk(self, fine_tune: FineTuneConfig) -> keras.Model:
        """Return the frozen layers, pixels 0-255 → inputs of the head and, where there is fine-tuning, its boundary.

        Training the head does not change them, so that both trainings start from one pass.
        """
        outputs = self.pooled() + (self.boundary(fine_tune.from_layer) if fine_tune.epochs else [])
        return keras.Model(self.keras_model.input, outputs, name="trunk")

    def scoring_model(self, *, flips: bool) -> keras.Model:
        """Return the network that is evaluated and published.

        Args:
            flips: test-time augmentation: mean logit over the patch and its three mirror images, at four times the cost.

        Returns:
            Keras model, pixels 0-255 (n, size, size, 3) → score (n, 1), float32.
        """
        if not flips:
            return self.keras_model
        pixels = keras.Input(self.keras_model.input_shape[1:], name="pixels")
        mirrored = [pixels[:, :, ::-1], pixels[:, ::-1], pixels[:, ::-1, ::-1]]
        logits = []
        for image in (pixels, *mirrored):
            score = keras.ops.clip(self.keras_model(image), 1e-7, 1 - 1e-7)
            logits.append(keras.ops.log(score) - keras.ops.log1p(-score))
        score = keras.layers.Activation("sigmoid", name=SCORE)(keras.layers.Average()(logits))
        return keras.Model(pixels, score, name=f"{self.keras_model.name}_over_flips")


class ModelTrainer:
    """Trains the networks on the training split and selects epochs on validation. It never reads the test split.

    With `logs`, a folder per training, it writes `results.csv` and TensorBoard files there (see `monitoring`). With
    `unfinished`, an interrupted training continues after its last saved epoch (see `resumption`). Head and backbone use the
    devices that `strategy.choose_strategy` finds, with each batch divided among the replicas; the baseline uses one device.
    """

    def __init__(
        self,
        config: Config,
        train: PatchSet,
        val: PatchSet,
        *,
        cache: FeatureCache | None = None,
        logs: Path | None = None,
        unfinished: Unfinished | None = None,
    ) -> None:
        self.config = config
        self.train = train
        self.val = val
        self.cache = cache or FeatureCache()
        self.logs = logs
        self.unfinished = unfinished
        keras.utils.set_random_seed(config.data.seed)
        keep_freed_memory()

    def train_baseline(self, model: BaselineCNN) -> Training:
        """Train the baseline CNN from pixels, with plain binary cross-entropy and no class weights.

        Its purpose is to check the data: with the weights 0.5/2.0 a network that learned nothing would predict everything as
        defective, which the check for collapse could not distinguish from a bug. It trains on one device: its BatchNorm would
        see 32 patches on one GPU and 4 on eight, and the check would depend on the machine.
        """
        config = self.config.baseline
        network = model.keras_model
        train, val = (
            self.cache.arrays(part, lambda pixels: [pixels], key={"pixels": 1}, size=config.input_size, dtype="uint8")
            for part in (self.train, self.val)
        )
        metrics = [*monitoring.metrics(self._precision), *monitoring.counts_at_half()]
        network.compile(_adam(config.learning_rate), "binary_crossentropy", metrics=metrics)
        network.optimizer.build(network.trainable_variables)
        epochs = max(config.epochs, math.ceil(config.min_steps * config.batch_size / len(self.train)))
        alone = tf.distribute.get_strategy()
        return self._fit("check_baseline", network, train, val, epochs, config.batch_size, strategy=alone)

    def train_head(self, model: TransferLearningModel) -> Training:
        """Train the head on cached features of the frozen backbone."""
        config = self.config.training
        train, val = self._cached("train_head", model)
        _adapt(model.keras_model.get_layer("standardise"), train.pooled[0])
        top = keras.Model(model.pooled(), model.keras_model.output)
        return self._train_top("train_head", top, config.head, train.pooled, val.pooled)

    def fine_tune(self, model: TransferLearningModel) -> Training:
        """Train the layers above the boundary at a lower learning rate, BatchNorm frozen, from cached activations."""
        config = self.config.training
        if config.fine_tune.epochs == 0:
            return Training()
        boundary = model.boundary(config.fine_tune.from_layer)
        train, val = self._cached("fine_tune", model)
        top = keras.Model(boundary, model.keras_model.output)
        for layer in top.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
        with as_matrices(top):
            return self._train_top("fine_tune", top, config.fine_tune, train.boundary, val.boundary)

    @property
    def _precision(self) -> float:
        return self.config.gate.precision or 0.5

    def _train_top(
        self,
        stage: str,
        top: keras.Model,
        schedule: HeadConfig | FineTuneConfig,
        train: list[CachedArray],
        val: list[CachedArray],
    ) -> Training:
        """Train the layers above a cut on cached outputs of those below."""
        config, strategy = self.config.training, choose_strategy()
        steps = math.ceil(len(self.train) / config.batch_size)
        with strategy.scope():
            optimizer = _adam(schedule.learning_rate, averaged_over=steps if config.average_weights else None)
            top.compile(optimizer, _loss(config), metrics=monitoring.metrics(self._precision))
            # If built later, while the first step is traced, its variables make TensorFlow trace that step twice.
            optimizer.build(top.trainable_variables)
        return self._fit(
            stage,
            top,
            train,
            val,
            schedule.epochs,
            config.batch_size,
            strategy=strategy,
            class_weights=(config.class_weights.clean, config.class_weights.defective),
        )

    def _cached(self, stage: str, model: TransferLearningModel) -> tuple[Cached, Cached]:
        """Compute the inputs of both trainings in one pass."""
        views = self.config.training.views
        images = images_of_training(len(self.train), len(self.val), views)
        features = FrozenFeatures(model.trunk(self.config.training.fine_tune), self.cache, images=images)
        with counting(f"{stage}  features of train", len(self.train)) as progress:
            train = features.of(self.train, augmentations=views, progress=progress)
        with counting(f"{stage}  features of val", len(self.val)) as progress:
            return train, features.of(self.val, progress=progress)

    def _fit(
        self,
        stage: str,
        network: keras.Model,
        train: list[CachedArray],
        val: list[CachedArray],
        epochs: int,
        batch_size: int,
        *,
        strategy: tf.distribute.Strategy,
        class_weights: tuple[float, float] = (1.0, 1.0),
    ) -> Training:
        replicated = replicated_fit.is_replicated(strategy)
        training = CachedBatches(
            train, self.train.labels, batch_size, class_weights=class_weights, seed=self.config.data.seed
        )
        validation = CachedBatches(val, self.val.labels, 256, class_weights=class_weights, seed=None)
        if self.logs is not None:
            log.info("%s  watch it: tensorboard --logdir %s", stage, self.logs)
        with (
            tempfile.TemporaryDirectory(prefix="steel-training-") as scratch,
            epoch_bar(stage, epochs=epochs, steps=len(training), validation_steps=len(validation)) as bar,
        ):
            checkpoint = Path(scratch, "best.weights.h5")
            callbacks, history = monitoring.callbacks(
                stage=stage,
                epochs=epochs,
                patience=self.config.training.patience,
                precision=self._precision,
                checkpoint=checkpoint,
                averaged=bool(network.optimizer.use_ema),
                logs=self.logs,
            )
            resumption = Resumption(
                self.unfinished,
                stage=stage,
                network=network,
                batches=training,
                callbacks=callbacks,
                history=history,
                best=checkpoint,
                logs=self.logs,
            )
            callbacks += [resumption.callback(), *bar]
            first = resumption.first
            if resumption.over or first >= epochs:
                pass
            elif replicated:
                replicated_fit.fit(
                    network, training, validation, strategy=strategy, epochs=epochs, callbacks=callbacks, first=first
                )
            else:
                network.fit(
                    training,
                    validation_data=validation,
                    epochs=epochs,
                    initial_epoch=first,
                    callbacks=callbacks,
                    verbose=0,
                )
            network.load_weights(checkpoint)
        best = int(np.argmax(history[monitoring.RANKED])) + 1
        if self.logs is not None:
            if replicated:
                scores = replicated_fit.scores(network, validation)
            else:
                scores = network.predict(validation, verbose=0)[:, 0]
            worst = monitoring.worst_pictures(
                self.val, scores, precision=self._precision, heading=f"{stage}, epoch {best}"
            )
            monitoring.write_worst(self.logs, worst, best)
        return Training(history, best, "epochs" if len(history["loss"]) == epochs else "early")


def _adapt(standardise: keras.layers.Normalization, pooled: CachedArray) -> None:
    """Adapt a Normalization layer to cached vectors (augmentations, n, channels), without loading all of them."""
    batches = tf.data.Dataset.from_generator(
        lambda: pooled.batches(4096), output_signature=tf.TensorSpec((None, *pooled.shape[2:]), tf.float32)
    )
    standardise.adapt(batches)


def _moments(backbone: keras.Model, layer: str) -> keras.KerasTensor:
    """Return mean and standard deviation over the patch of every channel of a layer, (n, 2 channels)."""
    activation = backbone.get_layer(layer).output
    mean = keras.layers.GlobalAveragePooling2D(name=f"mean_{layer}")(activation)
    # The small constant: for a channel that is constant over a patch, the gradient of its standard deviation is undefined.
    deviation = keras.ops.sqrt(keras.ops.var(activation, axis=(1, 2)) + 1e-4)
    return keras.layers.Concatenate(name=f"pooled_{layer}")([mean, deviation])


def _adam(rate: float, *, averaged_over: int | None = None) -> keras.optimizers.Adam:
    """Return Adam; with `averaged_over` steps it also keeps a running mean of the weights (Polyak and Juditsky 1992)."""
    if averaged_over is None:
        return keras.optimizers.Adam(rate)
    return keras.optimizers.Adam(rate, use_ema=True, ema_momentum=1.0 - 1.0 / max(2, averaged_over))


def _loss(config: TrainingConfig) -> keras.losses.Loss:
    if config.loss == "focal":
        # The class weights replace alpha: both together would weight the classes twice.
        return keras.losses.BinaryFocalCrossentropy(gamma=config.focal_gamma, apply_class_balancing=False)
    return keras.losses.BinaryCrossentropy()
