"""Receives the bodies of requests, each within a time, and all within one size.

Bytes count when they arrive, not when they are announced: who announces 32 MiB and sends nothing holds nothing. If all
bodies together would be too large, the one that has been arriving for longest is refused, because honest bodies arrive fast. What
is refused for its size is read to its end all the same, and discarded: many senders read a response only after they have sent everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from steel_training.serving.limits import Limits
from steel_training.serving.refusal import Refused

if TYPE_CHECKING:
    from starlette.requests import Request

_READ_ON = 8


class Bodies:
    """The bodies that a server holds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0
        self._arriving: list[_Body] = []  # oldest first

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the whole body of a request, which counts as held until the context ends.

        Raises:
            Refused: 408 if it does not arrive in time, 413 if it is too large, 503 if all bodies together are.
            starlette.requests.ClientDisconnect: the sender closed the connection before the end.
        """
        body = _Body()
        try:
            self._arriving.append(body)
            try:
                await self._receive(request, body)
            finally:
                self._arriving.remove(body)
            whole = bytes(body.content)
            body.content.clear()
            yield whole
        finally:
            self._held -= body.held

    async def _receive(self, request: Request, body: _Body) -> None:
        within = self._limits.body_s
        try:
            async with asyncio.timeout(within):
                await self._read(request, body)
        except TimeoutError:
            raise Refused(
                408,
                f"{body.length:,} bytes of the body arrived within {within:g} seconds, and not its end; send it faster, or send fewer images.",
                close=True,
            ) from None
        if body.displaced:
            raise Refused(
                503,
                f"The server holds {self._limits.held_bytes:,} bytes of requests, and this one was arriving for longest; retry later.",
            )

    async def _read(self, request: Request, body: _Body) -> None:
        largest = self._limits.body_bytes
        async for piece in request.stream():
            body.length += len(piece)
            if body.length > _READ_ON * largest:
                break
            if body.length <= largest and not body.displaced:
                self._make_room(len(piece))
            if body.length <= largest and not body.displaced:
                body.content += piece
                body.held += len(piece)
                self._held += len(piece)
        if body.length > largest:
            raise Refused(413, f"The request is larger than {largest:,} bytes; send fewer images per request.")

    def _make_room(self, size: int) -> None:
        """Displace the bodies that have been arriving for longest, until there is room or none is left."""
        for oldest in self._arriving:
            if self._held + size <= self._limits.held_bytes:
                return
            oldest.displaced = True
            oldest.content.clear()
            self._held -= oldest.held
            oldest.held = 0


class _Body:
    def __init__(self) -> None:
        self.content = bytearray()
        self.length = 0
        self.held = 0
        self.displaced = False
