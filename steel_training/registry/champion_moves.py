"""The champion of every model name in a store, and which of them have moved since they were last reported.

Imported by a sensor that only waits, so this module reads pointers and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
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


def champions(uri: str) -> dict[str, Pointer]:
    """Return the pointer of every model name in a store that has a champion.

    A damaged pointer is logged and left out: its champion is unknown, so it has not moved.

    Args:
        uri: folder or `s3://` prefix of the store.

    Raises:
        StorageError: the store cannot be reached.
        WrittenByNewer: a later version of this program wrote a pointer.
    """
    store = open_storage(uri)
    found: dict[str, Pointer] = {}
    for name in names(store):
        try:
            pointer, _ = Registry(store, name).pointer()
        except PointerDamaged as error:
            log.warning("%s", error)
            continue
        if pointer is not None:
            found[name] = pointer
    return found


def moves(now: Mapping[str, Pointer], reported: Mapping[str, str]) -> list[Move]:
    """Return the champions that differ from those reported, oldest move first.

    Several moves between two looks are one: from the champion reported last to the one of now. A champion that went and came back
    has not moved, and neither has one whose pointer was only rewritten (`prune`, repair).

    Args:
        now: pointer by model name, from `champions`.
        reported: version by model name, of the champions reported last.
    """
    moved = [
        _move(name, pointer, reported.get(name))
        for name, pointer in now.items()
        if reported.get(name) != pointer.version
    ]
    return sorted(moved, key=lambda each: (each["moved_at"], each["model"]))


def _move(name: str, pointer: Pointer, previous: str | None) -> Move:
    came_back = previous is not None and previous not in pointer.history
    return {
        "model": name,
        "version": pointer.version,
        "previous": previous,
        "move": "rollback" if came_back else "promotion",
        "moved_at": pointer.moved_at,
    }
