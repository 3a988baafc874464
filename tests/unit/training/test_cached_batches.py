from __future__ import annotations

import numpy as np

from steel_training.training.cached_batches import CachedBatches
from steel_training.training.feature_cache import CachedArray

PATCHES, AUGMENTATIONS = 7, 3
LABELS = np.array([0, 1, 0, 0, 1, 0, 0])


def features(width: int) -> CachedArray:
    """Return an array in which every value names its augmentation and patch: 100 · augmentation + patch."""
    stored = [
        np.repeat(np.arange(PATCHES) + 100.0 * number, width).reshape(PATCHES, width) for number in range(AUGMENTATIONS)
    ]
    return CachedArray(stored, [np.arange(PATCHES)] * AUGMENTATIONS)


def batches(*arrays: CachedArray, seed: int | None) -> CachedBatches:
    return CachedBatches(list(arrays), LABELS, 3, class_weights=(0.5, 2.0), seed=seed)


def read(from_: CachedBatches) -> np.ndarray:
    return np.concatenate([from_[index][0][:, 0] for index in range(len(from_))])


def test_without_seed_patches_come_in_order_unaugmented():
    plain = batches(features(2), seed=None)
    first = read(plain)
    plain.on_epoch_end()
    assert first.tolist() == read(plain).tolist() == list(range(PATCHES))


def test_each_epoch_reads_every_patch_once_in_new_order():
    shuffled = batches(features(2), seed=4)
    epochs = [read(shuffled)]
    for _ in range(5):
        shuffled.on_epoch_end()
        epochs.append(read(shuffled))
    for epoch in epochs:
        assert sorted(epoch % 100) == list(range(PATCHES))
    assert len({tuple(epoch % 100) for epoch in epochs}) > 1
    assert {int(value // 100) for epoch in epochs for value in epoch} == set(range(AUGMENTATIONS))


def test_equal_seeds_give_equal_epochs():
    ours, theirs, others = (batches(features(2), seed=seed) for seed in (4, 4, 5))
    assert read(ours).tolist() == read(theirs).tolist() != read(others).tolist()


def test_batch_has_inputs_targets_and_weights_of_its_patches():
    (narrow, wide), target, weight = batches(features(1), features(4), seed=None)[2]
    assert (narrow.shape, wide.shape, target.shape, weight.shape) == ((1, 1), (1, 4), (1, 1), (1,))
    assert {each.dtype for each in (narrow, wide, target, weight)} == {np.dtype(np.float32)}
    _, target, weight = batches(features(1), seed=None)[0]
    assert target[:, 0].tolist() == [0, 1, 0]
    assert weight.tolist() == [0.5, 2.0, 0.5]
