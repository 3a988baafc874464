"""The limits of `steel-training serve`: what one sender may hold, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from steel_training.data.images import MAX_PIXEL_SCANS


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Attributes:
        head_s: seconds in which the head of a request must arrive, from its first byte, or from the start of the connection.
        body_s: seconds in which the body must arrive after its head.
        idle_s: seconds that a connection is kept open after a response.
        wait_s: seconds that a whole request waits for a scorer.
        body_bytes: size of one body.
        held_bytes: size of all bodies together, from their first byte until they are scored.
        requests: whole requests that wait or are scored at once.
        connections: open connections.
        pixel_scans: pixels × scans of all images of a request (`decoding_cost.pixel_scans`).
    """

    head_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 30.0
    wait_s: float = 60.0
    body_bytes: int = 32 * 2**20
    held_bytes: int = 256 * 2**20
    requests: int = 32
    connections: int = 256
    pixel_scans: int = MAX_PIXEL_SCANS // 2


DEFAULT_LIMITS = Limits()
