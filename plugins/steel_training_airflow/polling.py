"""Looking at a storage from the triggerer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from steel_training.storage import StorageError

Found = TypeVar("Found")


async def look(at: Callable[[str], Found], uri: str, seconds: float, log: logging.Logger) -> Found:
    """Return `at(uri)`, called in a thread. A storage that is unreachable for a while must not end a watch: it is asked again.

    Args:
        at: reads from the storage.
        uri: of the storage.
        seconds: pause before it is asked again.
        log: gets a warning each time that it cannot be reached.
    """
    while True:
        try:
            return await asyncio.to_thread(at, uri)
        except StorageError as error:
            log.warning("%s Retrying in %g s.", error, seconds)
            await asyncio.sleep(seconds)
