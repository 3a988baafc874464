"""The local server of `steel-training labels review`: one page, for the person who started it.

It listens on this machine only, which others may share. So the address holds a random token, which no other user and no other web
page knows; and a request must name this server (a page of another name that leads here would not) and, if it records an answer,
come from the page itself.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from steel_training.errors import SteelTrainingError, UsageError
from steel_training.labels.answers import AnswerInvalid, AnswersBusy
from steel_training.labels.review.messages import LARGEST, Given, Undo, read_message, record
from steel_training.labels.review.page import PICTURE_HEADERS, page
from steel_training.labels.review.pictures import PictureUnknown, PictureUnshowable
from steel_training.labels.review.review import AnswerRefused, Review
from steel_training.storage import ObjectNotFound, StorageError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_LOOKED_AT_SECONDS = 3600

_STATUS: tuple[tuple[type[SteelTrainingError], int], ...] = (
    (AnswerRefused, 409),
    (AnswersBusy, 503),
    (AnswerInvalid, 409),
    (PictureUnknown, 404),
    (PictureUnshowable, 415),
    (ObjectNotFound, 404),
    (StorageError, 503),
)


class ReviewServerMissing(SteelTrainingError):
    """Starlette or uvicorn is not installed."""


class PortTaken(UsageError):
    """Another program listens on the port, or it is none."""


class NotFromHere(SteelTrainingError):
    """A request was not made by the page of this server."""


def serve_review(review: Review, reviewer: str, port: int, started: Callable[[str], object]) -> None:
    """Serve a review until SIGINT or SIGTERM.

    Args:
        review: of the reviewer.
        reviewer: name of the person.
        port: to listen on; 0: a free one.
        started: gets the address of the page, once the port is taken.

    Raises:
        ReviewServerMissing: the packages of the extra `serve` are not installed.
        PortTaken: the port cannot be used.
    """
    try:
        import uvicorn
    except ImportError:
        raise ReviewServerMissing(
            "steel-training labels review needs two more packages: pip install 'steel-training[serve]'"
        ) from None
    token = secrets.token_urlsafe(24)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
            listening.listen()  # who opens the page before the server has started waits, and is not refused
        except (OSError, OverflowError) as error:
            raise PortTaken(f"Port {port} cannot be used ({error}); name another one, or leave --port away.") from None
        found = int(listening.getsockname()[1])
        config = uvicorn.Config(
            application(review, reviewer, token, found),
            log_level="warning",
            ws="none",
            timeout_graceful_shutdown=2,
            # A person looks at a patch for longer than the usual five seconds; a connection that is closed while the answer is on its way loses it.
            timeout_keep_alive=_LOOKED_AT_SECONDS,
        )
        started(f"http://{HOST}:{found}/{token}/")
        # After SIGINT it ends in order, and then raises this.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def application(review: Review, reviewer: str, token: str, port: int) -> Starlette:
    """Return the ASGI application.

    Args:
        review: of the reviewer.
        reviewer: name of the person.
        token: first part of every path.
        port: that it listens on, for the check of `Host` and `Origin`.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    served = _Served(review, reviewer, token, port)
    paths: tuple[tuple[str, Callable[[Request], Awaitable[Response]], str], ...] = (
        ("", served.page, "GET"),
        ("queue", served.queue, "GET"),
        ("pictures/{name}", served.picture, "GET"),
        ("answer", served.answer, "POST"),
        ("undo", served.undo, "POST"),
    )
    return Starlette(
        routes=[Route(f"/{{token}}/{path}", endpoint, methods=[method]) for path, endpoint, method in paths],
        exception_handlers={SteelTrainingError: _explain, 500: _explain},
    )


async def _explain(_: Request, error: Exception) -> Response:
    from starlette.responses import JSONResponse

    if isinstance(error, NotFromHere):
        return JSONResponse({"error": str(error)}, 403)
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return JSONResponse({"error": str(error)}, status)
    log.error("a request failed", exc_info=error)
    return JSONResponse({"error": "The server failed; see what it printed. The last answer may not be stored."}, 500)


class _Served:
    def __init__(self, review: Review, reviewer: str, token: str, port: int) -> None:
        self._review = review
        self._reviewer = reviewer
        self._token = token.encode()
        self._hosts = {f"{HOST}:{port}", f"localhost:{port}"}

    async def page(self, request: Request) -> Response:
        from starlette.responses import HTMLResponse

        self._check(request)
        text, headers = page()
        return HTMLResponse(text, headers=headers)

    async def queue(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        self._check(request)
        review = self._review
        about = {
            "reviewer": self._reviewer,
            "dataset": review.sheet.dataset,
            "blind": review.blind,
            "left_out": review.left_out,
        }
        return JSONResponse({**await run_in_threadpool(review.window), "about": about})

    async def picture(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        self._check(request)
        data, kind = await run_in_threadpool(self._review.pictures.read, request.path_params["name"])
        return Response(data, media_type=kind, headers=PICTURE_HEADERS)

    async def answer(self, request: Request) -> Response:
        return await self._recorded(request, Given)

    async def undo(self, request: Request) -> Response:
        return await self._recorded(request, Undo)

    async def _recorded(self, request: Request, kind: type[Given | Undo]) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        self._check(request)
        host, origin = request.headers.get("host", ""), request.headers.get("origin", "")
        if origin != f"http://{host}" or request.headers.get("content-type") != "application/json":
            raise NotFromHere("Only the page of this server records answers; nothing was recorded.")
        message = read_message(await _body(request), kind)
        return JSONResponse(await run_in_threadpool(record, self._review, message, self._reviewer))

    def _check(self, request: Request) -> None:
        """Refuse who does not know the address.

        Raises:
            NotFromHere: the request names another server, or its token is another one.
        """
        known = secrets.compare_digest(request.path_params["token"].encode(), self._token)
        if request.headers.get("host") not in self._hosts or not known:
            raise NotFromHere("Open the address that 'steel-training labels review' printed when it was started.")


async def _body(request: Request) -> bytes:
    """Return the body, as far as a message can be long."""
    found = b""
    async for piece in request.stream():
        found += piece
        if len(found) > LARGEST:
            break
    return found
