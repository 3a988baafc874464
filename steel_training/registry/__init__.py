"""Published versions of a model, the pointer to the champion, and every verdict with its reasons.

A version never changes: its checksums are written last, removed first, and checked on every read.
"""

from steel_training.registry.decisions import Decisions
from steel_training.registry.errors import (
    ChampionMoved,
    ModelNameRefused,
    PointerDamaged,
    VersionBeingPublished,
    VersionDamaged,
    VersionNotFound,
    VersionUnsafe,
    VersionUntrusted,
)
from steel_training.registry.model_registry import Registry, names
from steel_training.registry.pointer import Pointer
from steel_training.registry.record import Unreadable, Verdicts
from steel_training.registry.version_files import MARKER

__all__ = [
    "MARKER",
    "ChampionMoved",
    "Decisions",
    "ModelNameRefused",
    "Pointer",
    "PointerDamaged",
    "Registry",
    "Unreadable",
    "Verdicts",
    "VersionBeingPublished",
    "VersionDamaged",
    "VersionNotFound",
    "VersionUnsafe",
    "VersionUntrusted",
    "names",
]
