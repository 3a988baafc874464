"""Two small published versions that answer differently, and a real server process."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from steel_training.registry import Registry
from steel_training.serving.bodies import Bodies
from steel_training.serving.connections import timed_connections
from steel_training.serving.limits import Limits
from steel_training.serving.refusal import Refused
from steel_training.storage import open_storage

SIZE = 32


def noise(seed: int, shape: tuple[int, ...] = (40, 40), kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(data, format=kind)
    return data.getvalue()


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """Makes an image file of noise: picture(seed, shape, kind)."""
    return noise


@pytest.fixture(scope="session")
def bomb() -> bytes:
    """A valid grey PNG of 30,000 × 30,000 black pixels in less than a megabyte; made in no time, by repetition."""
    side, rows = 30_000, 1_000
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(rows * (side + 1))) + packer.flush(zlib.Z_FULL_FLUSH)
    size = side * (side + 1)
    # Adler-32 of so many zeros: the first sum stays 1, the second counts them.
    pixels = b"\x78\xda" + piece * (side // rows) + b"\x03\x00" + struct.pack(">HH", size % 65521, 1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    made = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    assert len(made) < 1_000_000
    return made


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, make_small_network: Callable[..., Any]) -> dict[str, Path]:
    """Bundles v1 and v2 of two networks of stock layers."""
    from steel_training.bundle.export import export

    found = {}
    for number, version in enumerate(("v1", "v2")):
        folder = tmp_path_factory.mktemp(version)
        network = make_small_network(SIZE, seed=number)
        export(network, folder, threshold=0.4 + 0.1 * number, input_size=SIZE, version=version)
        (folder / "gate.json").write_text(json.dumps({"judged_at": f"2026-11-2{number}"}), encoding="utf-8")
        found[version] = folder
    return found


@pytest.fixture(scope="session")
def registry_in(exported: dict[str, Path]) -> Callable[[Path], Registry]:
    """Makes a registry that holds v1 and v2 in a folder; there is no champion."""

    def make(folder: Path) -> Registry:
        found = Registry(open_storage(folder / "store"), "steel-defects")
        for version, bundle in exported.items():
            shutil.copytree(bundle, folder / "made" / version)
            found.publish(folder / "made" / version, version)
        return found

    return make


@pytest.fixture
def registry(registry_in: Callable[[Path], Registry], tmp_path: Path) -> Registry:
    """Holds v1 and v2; v1 is the champion."""
    found = registry_in(tmp_path)
    found.promote("v1")
    return found


@dataclass
class Server:
    process: subprocess.Popen[str]
    address: str
    log: Path

    def ask(
        self, path: str, body: bytes | dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, Any]:
        """Returns status, answer (parsed where it is JSON), and headers."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self.address + path, data=data, headers=headers or {})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=300) as answer:
                content, status, told = answer.read(), answer.status, answer.headers
        except urllib.error.HTTPError as error:
            content, status, told = error.read(), error.code, error.headers
        return status, json.loads(content) if told["Content-Type"] == "application/json" else content, told

    def wait_until(self, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + 300
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            try:
                if holds():
                    return
            except urllib.error.URLError:
                pass  # not listening yet
            time.sleep(0.2)
        raise AssertionError(self.log.read_text(encoding="utf-8"))


@dataclass
class Receiver:
    """A uvicorn server in a thread that answers `POST /length` with the length of the body, received as `serve` receives it.

    Attributes:
        port: on 127.0.0.1.
        scoring: how many bodies are held at the moment; a body that begins with `wait` is held until `release` is set.
    """

    port: int
    scoring: list[int]
    release: threading.Event

    def connect(self, sent: bytes = b"") -> socket.socket:
        """Opens a connection and sends bytes; its reads end after five minutes."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=300)
        connection.sendall(sent)
        return connection


@pytest.fixture(scope="session")
def until_closed() -> Callable[[socket.socket], bytes]:
    """Reads until the server closes the connection."""

    def read(connection: socket.socket) -> bytes:
        found = b""
        with connection, contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                found += piece
        return found

    return read


@pytest.fixture
def receiver(own_port: Callable[[], int]) -> Iterator[Callable[..., Receiver]]:
    """Starts a receiver with these limits: receiver(head_s=1, …)."""
    started: list[tuple[uvicorn.Server, threading.Thread, threading.Event]] = []

    def start(**changed: float) -> Receiver:
        limits = Limits(**changed)
        bodies, found = Bodies(limits), Receiver(own_port(), [], threading.Event())

        async def length(request: Request) -> JSONResponse:
            async with bodies.received(request) as body:
                found.scoring.append(len(body))
                while body.startswith(b"wait") and not found.release.is_set():
                    await asyncio.sleep(0.05)
                while body.startswith(b"stop") and not found.release.is_set():
                    time.sleep(0.05)  # nobody else is served meanwhile
            return JSONResponse({"length": len(body)})

        async def refused(_: Request, error: Refused) -> JSONResponse:
            headers = {"Connection": "close"} if error.close else None
            return JSONResponse({"error": error.detail}, error.status_code, headers=headers)

        app = Starlette(routes=[Route("/length", length, methods=["POST"])], exception_handlers={Refused: refused})
        config = uvicorn.Config(app, port=found.port, log_level="error", http=timed_connections(limits), ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        started.append((server, thread, found.release))
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        return found

    yield start
    for server, thread, release in started:
        release.set()
        server.should_exit = server.force_exit = True
        thread.join(timeout=60)


_SERVE_WITH = """
import json, sys
from steel_training.registry import Registry
from steel_training.serving.limits import Limits
from steel_training.serving.server import serve
from steel_training.storage import open_storage
store, name, port, limits = sys.argv[1:]
serve(Registry(open_storage(store), name), host="127.0.0.1", port=int(port), every=0.3, limits=Limits(**json.loads(limits)))
"""


@contextlib.contextmanager
def running(registry: Registry, folder: Path, port: int, **limits: float) -> Iterator[Server]:
    """Runs `steel-training serve`; with limits, its function in a process of its own. The log is in the folder."""
    log = folder / "serve.log"
    words = [sys.executable, "-m", "steel_training", "serve", "--store", registry.store.uri]
    words += ["--name", registry.name, "--port", str(port), "--every", "0.3"]
    if limits:
        words = [sys.executable, "-c", _SERVE_WITH, registry.store.uri, registry.name, str(port), json.dumps(limits)]
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, text=True, env=dict(os.environ))
    try:
        yield Server(process, f"http://127.0.0.1:{port}", log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
