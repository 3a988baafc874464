"""Outputs of the frozen layers: what head and fine-tuning start from, and what the label audit scores by.

All of them ask for the outputs of one network, so that each finds in the cache what another has computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras

from steel_training.data.patches import PatchSet
from steel_training.training.feature_cache import CachedArray, FeatureCache, network_digest
from steel_training.training.feature_cache.cache import Progress
from steel_training.training.inference import Forward


def images_of_training(train: int, val: int, views: int) -> int:
    """Return the number of images in the feature pass of a training.

    Args:
        train: patches in the training split.
        val: patches in the validation split.
        views: augmentations of each patch of the training split.
    """
    return train * views + val


@dataclass(frozen=True)
class Cached:
    """Cached arrays (augmentations, n, …) of some patches: inputs of the head, and tensors at the freeze boundary."""

    pooled: list[CachedArray]
    boundary: list[CachedArray]


class FrozenFeatures:
    """The frozen layers of a network, computed through the cache."""

    def __init__(self, trunk: keras.Model, cache: FeatureCache, *, images: int) -> None:
        """Wrap `TransferLearningModel.trunk`.

        Args:
            trunk: from pixels to features.
            cache: where they are kept.
            images: of the job, which decides the engine (`inference.Forward`): all stages of a run give the same number
                (`images_of_training`), and so compute the same values.
        """
        self._cache = cache
        self._size = int(trunk.input_shape[1])
        self._forward = Forward(trunk, images=images)
        self._key = {"trunk": network_digest(trunk)}

    def of(self, patches: PatchSet, *, augmentations: int = 1, progress: Progress | None = None) -> Cached:
        """Return the outputs for every patch in its first augmentations; only the missing ones are computed.

        Raises:
            ImageUnreadable: a patch cannot be decoded.
            ScratchFull: there is not enough space on the scratch disk.
        """
        pooled, *boundary = self._cache.arrays(
            patches, self._forward, key=self._key, size=self._size, augmentations=augmentations, progress=progress
        )
        return Cached([pooled], boundary)
