"""Features for the audit: the inputs of the head, computed through the cache under the key by which `train_head` asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from steel_training.config import Config
from steel_training.data.patches import PatchSet
from steel_training.progress import counting
from steel_training.training.feature_cache import CachedArray, FeatureCache
from steel_training.training.frozen_features import FrozenFeatures
from steel_training.training.model_trainer import TransferLearningModel
from steel_training.training.strategy import alone


class PooledFeatures:
    """Features of the patches of several sets, in their order, read from the cache as they are asked for."""

    def __init__(self, arrays: Sequence[CachedArray]) -> None:
        """Combine arrays (augmentations, n, channels); the first augmentation is the patch as it is."""
        self._arrays = list(arrays)
        self._ends = np.cumsum([array.shape[1] for array in self._arrays])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of patches at positions int (m,), float32 (m, channels)."""
        taken = np.empty((len(rows), self._arrays[0].shape[2]), np.float32)
        owner = np.searchsorted(self._ends, rows, side="right")
        for number, array in enumerate(self._arrays):
            asked = owner == number
            place = rows[asked] - (self._ends[number] - array.shape[1])
            taken[asked] = array.take(np.zeros(len(place), int), place)
        return taken


def pooled_features(
    config: Config, sets: Mapping[str, PatchSet], *, images: int, stage: str, cache: FeatureCache | None = None
) -> PooledFeatures:
    """Return the features of patches on the frozen backbone of a configuration, without augmentation.

    Args:
        config: backbone, weights, input size and seed of a run. Random weights are those of that run.
        sets: patches by the name that progress is shown under.
        images: of the training that shares these features (`images_of_training`).
        stage: for progress.
        cache: where features are kept; `None` for the one of this machine.

    Raises:
        WeightsNotFound: the named file of weights does not exist.
        WeightsUnusable: it does not fit, or ImageNet cannot be downloaded.
        ImageUnreadable: a patch cannot be decoded.
        ScratchFull: there is not enough space on the scratch disk.
    """
    keras.utils.set_random_seed(config.data.seed)
    arrays = []
    with alone():
        model = TransferLearningModel.build(config.model, config.data.input_size)
        frozen = FrozenFeatures(model.trunk(config.training.fine_tune), cache or FeatureCache(), images=images)
        for name, patches in sets.items():
            with counting(f"{stage}  features of {name}", len(patches)) as progress:
                arrays += frozen.of(patches, progress=progress).pooled
    return PooledFeatures(arrays)
