"""A request that the server refuses, and why."""

from __future__ import annotations


class Refused(Exception):
    """A request that is answered with an HTTP error.

    Attributes:
        status_code: HTTP status.
        detail: what was found, what was expected and what to do.
        close: whether the connection is closed after the response, because more of the request may follow.
    """

    def __init__(self, status_code: int, detail: str, *, close: bool = False) -> None:
        super().__init__(detail)
        self.status_code = status_code
        self.detail = detail
        self.close = close
