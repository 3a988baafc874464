"""Features for the audit are those of the patches in their order, and those that the head is trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from steel_training.config import load_config
from steel_training.data.dataset import find_dataset, fingerprint
from steel_training.data.patches import PatchSet
from steel_training.labels.features import PooledFeatures, pooled_features
from steel_training.training.feature_cache import CachedArray, FeatureCache
from steel_training.training.frozen_features import FrozenFeatures, images_of_training
from steel_training.training.model_trainer import ModelTrainer, TransferLearningModel


def test_rows_of_several_sets_follow_each_other() -> None:
    stored = [np.arange(6, dtype=np.float32).reshape(3, 2), 10 + np.arange(4, dtype=np.float32).reshape(2, 2)]
    found = PooledFeatures(
        [CachedArray([stored[0]], [np.array([2, 0])]), CachedArray([stored[1]], [np.array([1, 0, 1])])]
    )
    assert len(found) == 5
    assert found(np.array([4, 0, 2, 1])).tolist() == [[12, 13], [4, 5], [12, 13], [0, 1]]
    assert found(np.array([], int)).shape == (0, 2)


def test_training_the_head_finds_what_the_audit_computed(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    dataset = find_dataset(str(make_dataset(tmp_path / "data", patches=48)))
    config = load_config(overrides=["model.weights=none", "data.input_size=32", "training.views=2"])
    paths, labels, content = dataset.manifest["path"], dataset.manifest["label"].to_numpy(int), fingerprint(dataset)
    train, val = (
        PatchSet(dataset.storage, tuple(paths[rows]), labels[rows], content) for rows in (slice(0, 30), slice(30, 48))
    )
    cache = FeatureCache(tmp_path / "cache")
    audited = pooled_features(config, {"train": train, "val": val}, images=78, stage="audit", cache=cache)
    (entry,) = [folder for folder in (tmp_path / "cache" / "features").iterdir() if folder.is_dir()]
    before = (entry / "identity" / "0").read_bytes()

    ModelTrainer(config, train, val)  # seeds the random weights, as in the stage
    model = TransferLearningModel.build(config.model, config.data.input_size)
    frozen = FrozenFeatures(model.trunk(config.training.fine_tune), cache, images=images_of_training(30, 18, 2))
    pooled = frozen.of(train, augmentations=config.training.views).pooled[0]
    assert (entry / "identity" / "0").read_bytes() == before, "computed once"
    assert [folder for folder in (tmp_path / "cache" / "features").iterdir() if folder.is_dir()] == [entry]
    assert np.array_equal(pooled.take(np.zeros(30, int), np.arange(30)), audited(np.arange(30)))
