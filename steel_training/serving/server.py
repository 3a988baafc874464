"""`steel-training serve`: serves the champion by the open inference protocol, for testing on one machine.

No login and no encryption. Limits protect the machine's memory: size of a request, images per request, pixels per image
(read from its header before decoding), and concurrent requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import TYPE_CHECKING

from steel_training.data.images import ImageUnreadable, without_tiff
from steel_training.errors import SteelTrainingError
from steel_training.registry import Registry
from steel_training.serving.champion import ChampionFollower
from steel_training.serving.model import Answer, LoadedModel
from steel_training.serving.protocol import INPUT, LENGTH_HEADER, OUTPUTS, BadRequest, Inference, answer
from steel_training.storage.json_types import Json

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger(__name__)

MAX_BODY = 32 * 2**20
READ_ON = 8 * MAX_BODY
MAX_CONCURRENT = 32
SCORING_THREADS = 2
POLL_INTERVAL_S = 3.0


class ServerMissing(SteelTrainingError):
    """Starlette or uvicorn is not installed."""


def serve(registry: Registry, *, host: str, port: int, every: float = POLL_INTERVAL_S) -> None:
    """Serve the champion until SIGINT or SIGTERM.

    Args:
        registry: of the model.
        host: address to listen on.
        port: to listen on; 0 chooses a free one, which is logged.
        every: polling interval of the champion pointer in seconds.

    Raises:
        ServerMissing: the packages of the extra `serve` are not installed.
    """
    try:
        import uvicorn
    except ImportError:
        raise ServerMissing(
            "steel-training serve needs two more packages: pip install 'steel-training[serve]'"
        ) from None
    uvicorn.run(application(registry, every=every), host=host, port=port, log_level="warning", timeout_keep_alive=30)


def application(registry: Registry, *, every: float = POLL_INTERVAL_S) -> Starlette:
    """Return the ASGI application; it follows the champion from start-up."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    api = _Api(registry, every)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        api.follower.start()
        yield
        api.follower.stop()
        api.pool.shutdown(wait=False, cancel_futures=True)

    model = "/v2/models/{name}"
    return Starlette(
        routes=[
            Route("/v2", api.server),
            Route("/v2/health/live", api.live),
            Route("/v2/health/ready", api.ready),
            *(
                route
                for top in (model, f"{model}/versions/{{version}}")
                for route in (
                    Route(top, api.model),
                    Route(f"{top}/ready", api.model_ready),
                    Route(f"{top}/infer", api.infer, methods=["POST"]),
                )
            ),
        ],
        exception_handlers={_Refused: _as_error, 404: _as_error, 405: _as_error, 500: _as_error},
        lifespan=lifespan,
    )


class _Refused(Exception):
    """A request that is answered with an HTTP error."""

    def __init__(self, status_code: int, detail: str) -> None:
        super().__init__(detail)
        self.status_code = status_code
        self.detail = detail


async def _as_error(_: Request, error: Exception) -> Response:
    from starlette.responses import JSONResponse

    status = getattr(error, "status_code", 500)
    if status == 500:
        log.error("a request failed", exc_info=error)
    detail = getattr(error, "detail", "Internal error; see the server's log.")
    return JSONResponse({"error": detail}, status_code=status)


class _Api:
    def __init__(self, registry: Registry, every: float) -> None:
        self.registry = registry
        self.follower = ChampionFollower(registry, every=every)
        self.pool = ThreadPoolExecutor(SCORING_THREADS, thread_name_prefix="scoring")
        self.in_progress = 0

    async def server(self, _: Request) -> Response:
        return _json(
            {
                "name": "steel-training",
                "version": metadata.version("steel-training"),
                "extensions": ["binary_tensor_data"],
            }
        )

    async def live(self, _: Request) -> Response:
        return _json({"live": True})

    async def ready(self, _: Request) -> Response:
        ready = self.follower.model is not None
        return _json({"ready": ready}, status=200 if ready else 503)

    async def model(self, request: Request) -> Response:
        model = self._serving(request)
        described: dict[str, Json] = {
            "name": self.registry.name,
            "versions": [model.version],
            "platform": "tensorflow_savedmodel",
            "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
            "outputs": [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in OUTPUTS.items()],
        }
        if self.follower.problem is not None:
            described["parameters"] = {"problem": self.follower.problem}
        return _json(described)

    async def model_ready(self, request: Request) -> Response:
        self._serving(request)
        return _json({"name": self.registry.name, "ready": True})

    async def infer(self, request: Request) -> Response:
        from starlette.responses import Response

        model = self._serving(request)
        if self.in_progress >= MAX_CONCURRENT:
            raise _Refused(503, f"{MAX_CONCURRENT} requests are already in progress; retry later.")
        self.in_progress += 1
        try:
            body = await _body(request)
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self.pool, _work, model, body, request.headers.get(LENGTH_HEADER))
            asked, found = await work
        except (BadRequest, ImageUnreadable) as error:
            raise _Refused(400, str(error)) from None
        finally:
            self.in_progress -= 1
        content, headers = answer(self.registry.name, asked, found)
        return Response(content, headers=headers)

    def _serving(self, request: Request) -> LoadedModel:
        name, version = request.path_params["name"], request.path_params.get("version")
        if name != self.registry.name:
            raise _Refused(404, f"There is no model {name!r} here; this server serves {self.registry.name}.")
        model = self.follower.model
        if model is None:
            raise _Refused(
                503,
                self.follower.problem or "There is no champion yet, or it is still being loaded; retry later.",
            )
        if version is not None and version != model.version:
            raise _Refused(404, f"Version {version!r} is not served; the champion is {model.version}.")
        return model


def _work(model: LoadedModel, body: bytes, header_length: str | None) -> tuple[Inference, list[Answer]]:
    asked = Inference(body, header_length)
    files = []
    for place, data in enumerate(asked.files):
        try:
            files.append(without_tiff(data))
        except ImageUnreadable as error:
            raise ImageUnreadable(f"Image {place} cannot be scored: {error}") from None
    return asked, model.score(files)


async def _body(request: Request) -> bytes:
    """Return the body. One that is too large is read further and discarded, so that the sender receives the error."""
    body, length = bytearray(), 0
    async for piece in request.stream():
        length += len(piece)
        if length <= MAX_BODY:
            body += piece
        elif length > READ_ON:
            break
    if length > MAX_BODY:
        raise _Refused(413, f"The request is larger than {MAX_BODY:,} bytes; send fewer images per request.")
    return bytes(body)


def _json(content: dict[str, Json], status: int = 200) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(content, status_code=status)
