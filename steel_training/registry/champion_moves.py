"""Which model is deployed where: the champion of every name in a store, and what has moved since it was last reported.

Imported by a sensor that only waits, so this module reads pointers and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

from steel_training.registry.errors import PointerDamaged
from steel_training.registry.model_registry import Registry, names
from steel_training.registry.pointer import Pointer
from steel_training.storage import open_storage

log = logging.getLogger(__name__)


class Move(TypedDict):
    """One move of a champion, as an event carries it.

    Attributes:
        model: name in the registry.
        version: the champion now.
        previous: the champion that was last reported; `None` where there was none.
        move: `rollback` where `version` was left for an earlier champion, else `promotion`, whoever made it.
        moved_at: when the pointer was written, ISO 8601, UTC.
    """

    model: str
    version: str
    previous: str | None
    move: Literal["promotion", "rollback"]
    moved_at: str


@dataclass(frozen=True)
class Champions:
    """The champions of a store at one moment.

    Attributes:
        pointers: by model name; a name without a champion is left out.
        unreadable: names whose pointer is damaged, so that their champion is unknown.
    """

    pointers: Mapping[str, Pointer]
    unreadable: frozenset[str] = frozenset()

    def versions(self, known: Mapping[str, str]) -> dict[str, str]:
        """Return the champion of every name; where it is unknown, the one of `known`."""
        kept = {name: version for name, version in known.items() if name in self.unreadable}
        return kept | {name: pointer.version for name, pointer in self.pointers.items()}

    def moves(self, reported: Mapping[str, str]) -> list[Move]:
        """Return the champions that differ from those reported, oldest move first.

        Several moves between two looks are one: from the champion reported last to the one of now. A champion that went and came back
        has not moved, and neither has one whose pointer was only rewritten (`prune`, repair).

        Args:
            reported: version by model name, of the champions reported last.
        """
        moved = [
            _move(name, pointer, reported.get(name))
            for name, pointer in self.pointers.items()
            if reported.get(name) != pointer.version
        ]
        return sorted(moved, key=lambda each: (each["moved_at"], each["model"]))


def champions(uri: str) -> Champions:
    """Return the champions of a store.

    Args:
        uri: folder or `s3://` prefix of the store.

    Raises:
        StorageError: the store cannot be reached.
        WrittenByNewer: a later version of this program wrote a pointer.
    """
    store = open_storage(uri)
    found: dict[str, Pointer] = {}
    unreadable: set[str] = set()
    for name in names(store):
        try:
            pointer, _ = Registry(store, name).pointer()
        except PointerDamaged as error:
            log.warning("%s", error)
            unreadable.add(name)
        else:
            if pointer is not None:
                found[name] = pointer
    return Champions(found, frozenset(unreadable))


def _move(name: str, pointer: Pointer, previous: str | None) -> Move:
    came_back = previous is not None and previous not in pointer.history
    return {
        "model": name,
        "version": pointer.version,
        "previous": previous,
        "move": "rollback" if came_back else "promotion",
        "moved_at": pointer.moved_at,
    }
