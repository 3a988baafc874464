"""Errors of the registry."""

from __future__ import annotations

from steel_training.errors import SteelTrainingError, UsageError


class ModelNameRefused(UsageError):
    """A model name is invalid: it holds forbidden characters or leads out of the registry."""


class VersionNotFound(UsageError):
    """The registry holds no such version, or no champion yet."""


class VersionDamaged(SteelTrainingError):
    """A file of a version differs from what was published."""


class VersionUnsafe(VersionDamaged):
    """A model's file of a version holds what this program's exports do not hold; it was not loaded."""


class VersionUntrusted(VersionDamaged):
    """A version is unsigned, or signed by nobody whom the site trusts; it was not loaded."""


class VersionBeingPublished(SteelTrainingError):
    """Another run is publishing the same version with other content."""


class ChampionMoved(SteelTrainingError):
    """Another run moved the champion pointer since it was read."""


class PointerDamaged(SteelTrainingError):
    """The champion pointer cannot be read.

    Attributes:
        tag: of the damaged object, for the conditional write that repairs it.
    """

    def __init__(self, message: str, tag: str) -> None:
        super().__init__(message)
        self.tag = tag
