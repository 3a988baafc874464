"""How the registry says that it could not."""

from __future__ import annotations

from steel_training.errors import SteelTrainingError, UsageError


class ModelNameRefused(UsageError):
    """A model name is none: it holds other characters than names have, or would lead out of the registry."""


class VersionNotFound(UsageError):
    """The registry holds no such version, or no champion yet."""


class VersionDamaged(SteelTrainingError):
    """A file of a version is not what was published."""


class VersionBeingPublished(SteelTrainingError):
    """Another run publishes the same version, with other content, at this moment."""


class ChampionMoved(SteelTrainingError):
    """Another run moved the champion pointer since it was read."""


class PointerDamaged(SteelTrainingError):
    """What lies where the champion pointer should is none.

    Attributes:
        tag: of what lies there, which a conditional write that mends it needs.
    """

    def __init__(self, message: str, tag: str) -> None:
        super().__init__(message)
        self.tag = tag
