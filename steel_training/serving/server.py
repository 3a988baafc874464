"""`steel-training serve`: serves the champion by the open inference protocol, for testing on one machine.

No login and no encryption. Limits (`limits.py`) protect the machine and honest senders: time, size and number of requests, images per
request, and pixels × scans (read from headers and markers before decoding). A request that is still arriving holds no place
of those that are scored.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, TypeVar

from steel_training.data.images import ImageUnreadable, decoding_cost, without_tiff
from steel_training.errors import SteelTrainingError
from steel_training.registry import Registry
from steel_training.serving.bodies import Bodies
from steel_training.serving.champion import ChampionFollower
from steel_training.serving.limits import DEFAULT_LIMITS, Limits
from steel_training.serving.model import Answer, LoadedModel
from steel_training.serving.protocol import INPUT, LENGTH_HEADER, OUTPUTS, BadRequest, Inference, answer
from steel_training.serving.refusal import Refused
from steel_training.storage.json_types import Json

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger(__name__)
T = TypeVar("T")

SCORING_THREADS = 2
POLL_INTERVAL_S = 3.0


class ServerMissing(SteelTrainingError):
    """Starlette or uvicorn is not installed."""


def serve(
    registry: Registry, *, host: str, port: int, every: float = POLL_INTERVAL_S, limits: Limits = DEFAULT_LIMITS
) -> None:
    """Serve the champion until SIGINT or SIGTERM.

    Args:
        registry: of the model.
        host: address to listen on.
        port: to listen on; 0 chooses a free one, which is logged.
        every: polling interval of the champion pointer in seconds.
        limits: of time, size and number.

    Raises:
        ServerMissing: the packages of the extra `serve` are not installed.
    """
    try:
        import uvicorn

        from steel_training.serving.connections import timed_connections
    except ImportError:
        raise ServerMissing(
            "steel-training serve needs two more packages: pip install 'steel-training[serve]'"
        ) from None
    uvicorn.run(
        application(registry, every=every, limits=limits),
        host=host,
        port=port,
        log_level="warning",
        http=timed_connections(limits),
        ws="none",
        timeout_keep_alive=math.ceil(limits.idle_s),
    )


def application(registry: Registry, *, every: float = POLL_INTERVAL_S, limits: Limits = DEFAULT_LIMITS) -> Starlette:
    """Return the ASGI application; it follows the champion from start-up."""
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect
    from starlette.routing import Route

    api = _Api(registry, every, limits)

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
        exception_handlers={
            Refused: _as_error,
            ClientDisconnect: _unheard,
            404: _as_error,
            405: _as_error,
            500: _as_error,
        },
        lifespan=lifespan,
    )


async def _as_error(_: Request, error: Exception) -> Response:
    from starlette.responses import JSONResponse

    status = getattr(error, "status_code", 500)
    if status == 500:
        log.error("a request failed", exc_info=error)
    detail = getattr(error, "detail", "Internal error; see the server's log.")
    headers = {"Connection": "close"} if getattr(error, "close", False) else None
    return JSONResponse({"error": detail}, status_code=status, headers=headers)


async def _unheard(_: Request, __: Exception) -> Response:
    """End a request whose sender has closed the connection; nobody reads the response."""
    from starlette.responses import Response

    return Response(status_code=400)


class _Api:
    def __init__(self, registry: Registry, every: float, limits: Limits) -> None:
        self.registry = registry
        self.limits = limits
        self.bodies = Bodies(limits)
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
        try:
            async with self.bodies.received(request) as body:
                asked, found = await self._scored(model, body, request.headers.get(LENGTH_HEADER))
        except (BadRequest, ImageUnreadable) as error:
            raise Refused(400, str(error)) from None
        content, headers = answer(self.registry.name, asked, found)
        return Response(content, headers=headers)

    async def _scored(
        self, model: LoadedModel, body: bytes, header_length: str | None
    ) -> tuple[Inference, list[Answer]]:
        if self.in_progress >= self.limits.requests:
            raise Refused(503, f"{self.limits.requests} requests are already in progress; retry later.")
        self.in_progress += 1
        try:
            work = self.pool.submit(_work, model, body, header_length, self.limits.pixel_scans)
            done = asyncio.wrap_future(work)
            await asyncio.wait([done], timeout=self.limits.wait_s)
            if work.cancel():
                raise Refused(503, f"No scorer was free within {self.limits.wait_s:g} seconds; retry later.")
            return await done
        finally:
            self.in_progress -= 1

    def _serving(self, request: Request) -> LoadedModel:
        name, version = request.path_params["name"], request.path_params.get("version")
        if name != self.registry.name:
            raise Refused(404, f"There is no model {name!r} here; this server serves {self.registry.name}.")
        model = self.follower.model
        if model is None:
            raise Refused(
                503,
                self.follower.problem or "There is no champion yet, or it is still being loaded; retry later.",
            )
        if version is not None and version != model.version:
            raise Refused(404, f"Version {version!r} is not served; the champion is {model.version}.")
        return model


def _work(
    model: LoadedModel, body: bytes, header_length: str | None, pixel_scans: int
) -> tuple[Inference, list[Answer]]:
    asked = Inference(body, header_length)
    cost = sum(_of_each(decoding_cost, asked.files))
    if cost > pixel_scans:
        raise BadRequest(
            f"The images have {cost:,} pixels × scans together; {pixel_scans:,} are allowed. Send fewer images per request."
        )
    return asked, model.score(list(_of_each(partial(without_tiff, grey_range=model.grey_range), asked.files)))


def _of_each(function: Callable[[bytes], T], files: Sequence[bytes]) -> Iterator[T]:
    for place, data in enumerate(files):
        try:
            yield function(data)
        except ImageUnreadable as error:
            raise ImageUnreadable(f"Image {place} cannot be scored: {error}") from None


def _json(content: dict[str, Json], status: int = 200) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(content, status_code=status)
