"""The store that the page shows, and its registries, cached between requests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from steel_training.config import Config
from steel_training.environment import Environment
from steel_training.errors import SteelTrainingError
from steel_training.registry import Decisions, Pointer, PointerDamaged, Registry, names
from steel_training.storage import RequestLimits, Storage, open_storage

# A person waits for the answer, in one of a few threads (see `store_access`): a silent S3 is reported after 11 s. A stage waits longer.
LIMITS = RequestLimits(connect_seconds=2, read_seconds=5, attempts=2)


class StoreNotSet(SteelTrainingError):
    """The API server has no store configured."""


@dataclass(frozen=True)
class ModelStore:
    """One model name in the store.

    Attributes:
        registry: of the name.
        decisions: its verdicts.
    """

    registry: Registry
    decisions: Decisions

    def pointer(self) -> tuple[Pointer | None, str | None]:
        """Return the champion pointer, or the problem if it cannot be read."""
        try:
            return self.registry.pointer()[0], None
        except PointerDamaged as error:
            return None, f"champion.json of {self.registry.name} cannot be read; promote a version again. {error}"


def open_store() -> Storage:
    """Open the store.

    Raises:
        StoreNotSet: the environment does not name one.
    """
    uri = Environment.read().store
    if not uri:
        raise StoreNotSet(
            "STEEL_TRAINING_STORE is not set for the API server; expected the folder or s3:// URI that holds runs and models."
        )
    return _opened(uri)


@lru_cache(maxsize=8)
def _opened(uri: str) -> Storage:
    return open_storage(uri, LIMITS)


@lru_cache(maxsize=64)
def _models(uri: str, name: str) -> ModelStore:
    registry = Registry(_opened(uri), name)
    return ModelStore(registry, Decisions(registry))


def default_name() -> str:
    """Return the default model name of a run."""
    return Config().model.name


def known_names() -> list[str]:
    """Return the model names in the store, and the default one, sorted."""
    return sorted({*names(open_store()), default_name()})


def model_store(name: str | None) -> ModelStore:
    """Return the store of a model name, or of the default one.

    Raises:
        ModelNameRefused: it is not a valid model name.
    """
    return _models(open_store().uri, name or default_name())


def store_of(version: str, name: str | None) -> ModelStore:
    """Return the store of a name; without a name, the one that holds the version, or the default one."""
    if name is None:
        for known in sorted(known_names(), key=lambda each: each != default_name()):
            if model_store(known).registry.holds(version):
                return model_store(known)
    return model_store(name)
