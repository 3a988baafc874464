"""Training follows the design, uses the cached features, and selects epochs by recall at precision."""

import numpy as np
import pytest
from PIL import Image

from steel_training.config import Config, load_config
from steel_training.data.patches import PatchSet
from steel_training.storage import open_storage
from steel_training.training import monitoring
from steel_training.training.backbones import UnknownLayer
from steel_training.training.feature_cache import FeatureCache
from steel_training.training.model_trainer import BaselineCNN, ModelTrainer, TransferLearningModel
from steel_training.training.preprocessing import AUGMENTATIONS, augment, resize

SMALL = [
    "data.input_size=32",
    "model.weights=none",
    "training.head.epochs=2",
    "training.fine_tune.epochs=1",
    "training.views=2",
]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patches")
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 3 == 0
    for number, defective in enumerate(labels):
        pixels = rng.normal(120, 10, (32, 32))
        if defective:
            pixels[10:22, 14:18] -= 70
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    storage = open_storage(folder)

    def part(start, stop):
        return PatchSet(storage, tuple(f"{i}.png" for i in range(start, stop)), labels[start:stop].astype(int), "f")

    return part(0, 64), part(64, 96)


@pytest.fixture(scope="module")
def small():
    config = load_config(overrides=SMALL)
    return config, TransferLearningModel.build(config.model, config.data.input_size)


def test_baseline_has_the_designed_architecture():
    layers = BaselineCNN(Config().baseline).keras_model.layers
    assert [layer.filters for layer in layers if layer.__class__.__name__ == "Conv2D"] == [32, 64, 128, 256]
    kinds = [layer.__class__.__name__ for layer in layers]
    assert kinds.count("BatchNormalization") == kinds.count("MaxPooling2D") == 4
    assert kinds[-4:] == ["GlobalAveragePooling2D", "Dense", "Dropout", "Dense"]


def test_each_stage_changes_only_its_own_layers(parts, small, tmp_path):
    config, model = small
    trainer = ModelTrainer(config, *parts, cache=FeatureCache(tmp_path))
    network = model.keras_model
    before = {layer.name: layer.get_weights() for layer in network.layers}

    def changed():
        return {
            layer.name
            for layer in network.layers
            if any(not np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))
        }

    trained = trainer.train_head(model)
    assert changed() == {"standardise", "head", "score"}
    assert 1 <= trained.best_epoch <= 2
    assert {"loss", "val_loss", "val_recall", "val_pr_auc", "learning_rate"} <= trained.history.keys()

    trainer.fine_tune(model)
    names = [layer.name for layer in network.layers]
    boundary = names.index(model.spec.from_layer)
    tuned = changed() - {"standardise", "head", "score"}
    assert tuned
    assert all(names.index(name) > boundary for name in tuned)
    assert not any(name.endswith("_bn") for name in tuned), "BatchNorm stays frozen"
    entries = [path for path in (tmp_path / "features").iterdir() if path.is_dir()]
    assert len(entries) == 1, "head and fine-tuning share what is computed"


def test_cached_and_uncached_scores_are_equal(parts, small, tmp_path):
    import keras

    config, model = small
    _, val = parts
    boundary = model.boundary("auto")
    trunk = keras.Model(model.keras_model.input, boundary)
    arrays = FeatureCache(tmp_path).arrays(
        val, lambda x: trunk(x, training=False), key={}, size=32, augmentations=len(AUGMENTATIONS)
    )
    top = keras.Model(boundary, model.keras_model.output)
    pixels = np.stack([np.asarray(Image.open(val.storage.path(path)).convert("RGB")) for path in val.paths])
    augmented = np.concatenate([augment(resize(pixels, 32), name) for name in AUGMENTATIONS])
    direct = np.asarray(model.keras_model(augmented, training=False))[:, 0]
    cached = np.asarray(top([np.concatenate(np.asarray(a, np.float32)) for a in arrays]))[:, 0]
    assert len(direct) == len(cached) == len(AUGMENTATIONS) * len(val)
    # Float16 rounds the activations; a random network with an unfitted head amplifies it.
    assert np.abs(direct - cached).max() < 1e-2


def test_score_over_flips_is_mirror_invariant(small, tmp_path):
    import keras

    # Grey like the patches that the head was fitted to; on anything wilder its score is 0 or 1 whatever the view.
    grey = np.random.default_rng(2).normal(120, 10, (3, 32, 32, 1))
    pixels = np.repeat(grey, 3, axis=-1).astype(np.float32)
    small[1].scoring_model(flips=True).save(tmp_path / "m.keras")
    network = keras.models.load_model(tmp_path / "m.keras", compile=False, safe_mode=True)
    views = [pixels, pixels[:, ::-1], pixels[:, :, ::-1], pixels[:, ::-1, ::-1]]
    score, *mirrored = np.split(np.asarray(network(np.concatenate(views))), len(views))
    assert score.shape == (3, 1)
    for other in mirrored:
        assert np.allclose(score, other, atol=1e-6)
    one, other = np.split(np.asarray(small[1].scoring_model(flips=False)(np.concatenate(views[:2]))), 2)
    assert not np.allclose(one, other, atol=1e-6)


def test_textureless_patch_has_a_finite_gradient(small):
    import tensorflow as tf

    pixels = tf.Variable(tf.fill((1, 32, 32, 3), 128.0))
    with tf.GradientTape() as tape:
        score = small[1].keras_model(pixels, training=False)
    assert np.isfinite(np.asarray(tape.gradient(score, pixels))).all()


def test_saved_weights_are_the_running_mean(parts, tmp_path):
    """One epoch, one view: with averaging the kept head lies nearer to where it started."""
    moved = {}
    for averaged in (True, False):
        config = load_config(
            overrides=[*SMALL, "training.head.epochs=1", "training.views=1", f"training.average_weights={averaged}"]
        )
        trainer = ModelTrainer(config, *parts, cache=FeatureCache(tmp_path))
        model = TransferLearningModel.build(config.model, 32)
        head = model.keras_model.get_layer("head")
        before = head.get_weights()[0]
        trainer.train_head(model)
        moved[averaged] = np.linalg.norm(head.get_weights()[0] - before)
    assert 0 < moved[True] < moved[False]


def test_augmentations_move_pixels_or_brightness_only():
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 8, 8, 3)).astype(np.float32)
    for name in AUGMENTATIONS[:4]:
        assert sorted(np.asarray(augment(pixels, name)).ravel()) == sorted(pixels.ravel())
    assert np.asarray(augment(pixels, "darker")).mean() < pixels.mean() < np.asarray(augment(pixels, "brighter")).mean()


def test_network_cannot_be_cut_at_a_bypassed_layer(small):
    with pytest.raises(UnknownLayer, match="block5c_add"):
        small[1].boundary("block5c_expand_conv")


def test_epochs_rank_by_recall_then_pr_auc():
    worse = monitoring.rank({"val_recall": 0.0, "val_pr_auc": 0.5})
    better = monitoring.rank({"val_recall": 0.0, "val_pr_auc": 0.6})
    best = monitoring.rank({"val_recall": 0.002, "val_pr_auc": 0.1})
    assert worse < better < best
    with pytest.raises(monitoring.MonitorMissing, match="val_recall"):
        monitoring.rank({"val_recall_1": 0.9, "val_pr_auc": 0.5})


def test_all_positive_model_has_no_ranked_recall():
    import keras

    metric = next(m for m in monitoring.metrics(0.7) if m.name == "recall")
    assert isinstance(metric, keras.metrics.RecallAtPrecision)
    metric.update_state(np.arange(100)[:, None] % 2, np.full((100, 1), 0.9))
    assert float(metric.result()) == 0.0


def test_non_finite_loss_stops_training(parts, small, tmp_path):
    config = load_config(overrides=[*SMALL, "training.head.learning_rate=1.0"])
    train, val = parts
    trainer = ModelTrainer(config, train, val, cache=FeatureCache(tmp_path))
    model = TransferLearningModel.build(config.model, 32)
    layer = model.keras_model.get_layer("score")
    layer.set_weights([np.full_like(w, np.nan) for w in layer.get_weights()])
    with pytest.raises(monitoring.LossNotFinite, match="learning rate"):
        trainer.train_head(model)
