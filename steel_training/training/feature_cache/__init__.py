"""Frozen-feature cache: outputs of the frozen layers for every patch and augmentation, computed once.

Head and top blocks are trained on it, with the same values as training from pixels. Entries are keyed by the pixels of a patch
and by everything else that determines a value, so the cache is shared between stages, retries, nightly runs and dataset
versions: only new patches are computed.

- `cache`: looks up features and computes the missing ones.
- `row_store`: the files of one network and augmentation, to which rows are appended.
- `arrays`: array views of the stored rows.
"""

from steel_training.data.patches import PatchSet
from steel_training.storage.scratch import ScratchFull, scratch_folder
from steel_training.training.feature_cache.arrays import CachedArray
from steel_training.training.feature_cache.cache import FeatureCache, network_digest

__all__ = ["CachedArray", "FeatureCache", "PatchSet", "ScratchFull", "network_digest", "scratch_folder"]
