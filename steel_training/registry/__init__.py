"""Published versions of a model, the pointer to the one that serves, and every verdict with its reasons.

A version never changes: its checksums are written last, removed first, and checked by whoever reads it.
"""

from steel_training.registry.decisions import Decisions, Unreadable, Verdicts
from steel_training.registry.errors import ChampionMoved, ModelNameRefused, VersionDamaged, VersionNotFound
from steel_training.registry.model_registry import MARKER, Registry, names
from steel_training.registry.pointer import Pointer

__all__ = [
    "MARKER",
    "ChampionMoved",
    "Decisions",
    "ModelNameRefused",
    "Pointer",
    "Registry",
    "Unreadable",
    "Verdicts",
    "VersionDamaged",
    "VersionNotFound",
    "names",
]
