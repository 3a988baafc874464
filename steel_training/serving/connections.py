"""Connections that wait for their sender only for so long.

uvicorn closes a connection that is silent after a response, and nothing else: a sender that stops in the middle of a head, or sends a byte
now and then, would keep its connection for ever. Here the wait ends whatever arrives in between, and of too many open connections the
one that has kept the server waiting for longest is closed, so that a new sender always gets one.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
import json
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from steel_training.serving.limits import DEFAULT_LIMITS, Limits

# The order in which waits began. The clock of uvloop counts whole milliseconds: of a burst of connections it cannot tell which came first.
_TURNS = itertools.count()


class Phase(enum.Enum):
    """What a connection waits for."""

    HEAD = "the head of a request"
    BODY = "a body that is being received (`bodies.Bodies` ends it)"
    ANSWER = "the server itself"
    REST = "the rest of a body after the response, to be discarded"
    IDLE = "another request"


class TimedConnection(H11Protocol):
    """A connection with deadlines. h11 and not httptools, because it bounds the size of a head (16 KiB)."""

    limits = DEFAULT_LIMITS

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._phase = Phase.HEAD
        self._turn = next(_TURNS)
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline of the first head, and close another connection if there are too many."""
        super().connection_made(transport)
        self._enter(Phase.HEAD)
        self._make_place()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the deadlines."""
        for timer in (self._deadline, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; only the end of what is waited for ends a deadline."""
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        super().on_response_complete()
        self._follow()

    def pause_writing(self) -> None:
        """Start the deadline of a sender that does not read its responses."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.limits.idle_s, self.transport.abort)

    def resume_writing(self) -> None:
        """End it."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def _follow(self) -> None:
        if not self.transport.is_closing() and (phase := self._found()) is not self._phase:
            self._enter(phase)

    def _found(self) -> Phase:
        if self.conn.their_state is h11.IDLE:
            begun = self.cycle is None or bool(self.conn.trailing_data[0])
            return Phase.HEAD if begun else Phase.IDLE
        answered = self.cycle is not None and self.cycle.response_complete
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.REST if answered else Phase.BODY
        return Phase.ANSWER

    def _enter(self, phase: Phase) -> None:
        self._phase, self._turn = phase, next(_TURNS)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        limits = self.limits
        seconds = {Phase.HEAD: limits.head_s, Phase.REST: limits.body_s, Phase.IDLE: limits.idle_s}.get(phase)
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        if self._phase is Phase.HEAD and self.conn.trailing_data[0] and not self.transport.is_closing():
            self._answer_timeout()
        self.transport.close()

    def _answer_timeout(self) -> None:
        detail = f"The head of the request did not end within {self.limits.head_s:g} seconds; send it faster."
        content = json.dumps({"error": detail}).encode()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(content)),
            "connection": "close",
        }
        for event in (
            h11.Response(status_code=408, headers=list(headers.items()), reason=b"Request Timeout"),
            h11.Data(data=content),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")

    def _make_place(self) -> None:
        waiting = [
            one
            for one in self.connections
            if isinstance(one, TimedConnection) and one._phase is not Phase.ANSWER and not one.transport.is_closing()
        ]
        if len(self.connections) > self.limits.connections and waiting:
            min(waiting, key=lambda one: one._turn).transport.abort()


def timed_connections(limits: Limits) -> type[TimedConnection]:
    """Return the class of connections with these limits, for uvicorn's setting `http`."""
    return type(TimedConnection.__name__, (TimedConnection,), {"limits": limits})
