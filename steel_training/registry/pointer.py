"""The champion pointer: the current champion, earlier ones, and versions that may not become champion. Pure.

One small record, replaced as a whole by a conditional write. Because the way back is in the record itself, a rollback
is one such write too, and a second one goes one step further back instead of forward again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from steel_training.storage import schema
from steel_training.storage.declared import Declared, type_problem
from steel_training.storage.json_types import Json

REMEMBERED = 100


class StoredPointer(Declared):
    """`champion.json`, as far as it is read."""

    version: str
    moved_at: str
    previous: str | None = None
    history: list[str] = Field(default_factory=list)
    retired: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class Pointer:
    """The record in `champion.json`.

    Attributes:
        version: the champion.
        moved_at: when the record was written, ISO 8601.
        history: earlier champions, oldest first, at most `REMEMBERED`; a rollback takes the last one off.
        retired: versions that `prune` removes or has removed, and that must not become champion meanwhile.
    """

    version: str
    moved_at: str
    history: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()

    @property
    def previous(self) -> str | None:
        """The previous champion."""
        return self.history[-1] if self.history else None

    def before(self, version: str) -> str | None:
        """Return the champion that an earlier champion succeeded when it was last promoted; `None` where it is unknown."""
        last = len(self.history) - 1 - self.history[::-1].index(version)
        return self.history[last - 1] if last else None

    def promoted(self, version: str, at: str) -> Pointer:
        """Return the record after a promotion of another version."""
        return Pointer(version, at, (*self.history, self.version)[-REMEMBERED:], self.retired)

    def rolled_back(self, whole: Collection[str], at: str) -> Pointer | None:
        """Return the record after a step back, skipping versions that no longer exist; `None` where no earlier champion is left.

        Args:
            whole: the complete versions of the registry.
            at: time of the move.
        """
        for place in range(len(self.history) - 1, -1, -1):
            version = self.history[place]
            if version in whole and version not in self.retired and version != self.version:
                return Pointer(version, at, self.history[:place], self.retired)
        return None

    def retiring(self, versions: Collection[str], at: str) -> Pointer:
        """Return the record that keeps `versions` from becoming champion."""
        return Pointer(self.version, at, self.history, tuple(sorted(versions)))

    def as_dict(self) -> dict[str, Json]:
        """Return the record as it is stored."""
        return {
            schema.KEY: schema.SCHEMA,
            "version": self.version,
            "previous": self.previous,
            "moved_at": self.moved_at,
            "history": list(self.history),
            "retired": list(self.retired),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Pointer:
        """Read a record; the oldest ones have only `previous`.

        Raises:
            WrittenByNewer: a later version of this program wrote it.
            TypeError: a value is missing or has the wrong type.
        """
        schema.readable(values, "The champion pointer (champion.json)")
        if (problem := type_problem(StoredPointer, values)) is not None:
            raise TypeError(problem)
        before = values.get("previous")
        history = values.get("history", [before] if before else [])
        return cls(values["version"], values["moved_at"], tuple(history), tuple(values.get("retired", ())))


def surplus(versions: Collection[str], pointer: Pointer, keep: int) -> list[str]:
    """Return the versions that `prune` removes.

    Args:
        versions: the versions of the registry, oldest first.
        pointer: its champion and the champion to go back to are kept.
        keep: number of newest versions to keep as well, at least 1.
    """
    ordered = list(versions)
    back = pointer.rolled_back(ordered, pointer.moved_at)
    kept = {pointer.version, *ordered[-keep:], *([back.version] if back else [])}
    return [version for version in ordered if version not in kept]
