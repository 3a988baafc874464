"""Frozen-feature cache: what the layers that do not change make of every patch and view, computed once.

Head and top blocks are trained on it and see what training from pixels would show them. Known by the pixels of a patch and by
everything that can change a value, it is shared between stages, retries, nights and dataset versions: only new patches are
computed.

- `patches`: the patches of one part.
- `cache`: what is asked for, and how the missing rest is computed.
- `shelf`: the files of one network and view, to which rows are appended.
- `arrays`: what is read from them.
- `room`: where the cache lies, how large it may be, and what makes room.
"""

from steel_training.data.patches import PatchSet
from steel_training.storage.scratch import ScratchFull, scratch_folder
from steel_training.training.feature_cache.arrays import CachedArray
from steel_training.training.feature_cache.cache import FeatureCache, network_digest

__all__ = ["CachedArray", "FeatureCache", "PatchSet", "ScratchFull", "network_digest", "scratch_folder"]
