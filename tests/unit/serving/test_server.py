"""A real server process answers as `predict` does, changes over without losing a request, and refuses what would hurt it."""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from steel_training.registry import Registry
from steel_training.serving.prediction import predict

from .conftest import Server, running

MODEL = "/v2/models/steel-defects"
INFER = f"{MODEL}/infer"


def ready(server) -> bool:
    return server.ask("/v2/health/ready")[0] == 200


def request(*files: bytes, **more: object) -> dict:
    data = [base64.b64encode(file).decode() for file in files]
    return {"inputs": [{"name": "image_bytes", "shape": [len(files)], "datatype": "BYTES", "data": data}], **more}


def outputs(answer: dict) -> dict[str, list]:
    return {tensor["name"]: tensor["data"] for tensor in answer["outputs"]}


def peak_memory(pid: int) -> int:
    """Returns the most memory that the process ever held, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise AssertionError


class Begun(NamedTuple):
    """A server of v1, started before there was a champion, and what it answered until it was ready."""

    server: Server
    registry: Registry
    live: tuple
    ready: tuple
    inferred: tuple
    first: tuple


@pytest.fixture(scope="module")
def begun(registry_in, own_port, tmp_path_factory: pytest.TempPathFactory, picture) -> Iterator[Begun]:
    registry = registry_in(folder := tmp_path_factory.mktemp("begun"))
    with running(registry, folder, own_port()) as server:
        server.wait_until(lambda: server.ask("/v2/health/live")[0] == 200)
        live, not_ready = server.ask("/v2/health/live"), server.ask("/v2/health/ready")
        refused = server.ask(INFER, request(picture(1)))
        registry.promote("v1")
        server.wait_until(lambda: ready(server))
        yield Begun(server, registry, live, not_ready, refused, server.ask(INFER, request(picture(1))))


def test_server_predicts_limits_and_follows_champion(begun: Begun, picture, bomb, tmp_path: Path) -> None:
    server, registry = begun.server, begun.registry
    files = [picture(1), picture(2, (40, 50, 3), "JPEG"), picture(3, (64, 64), "BMP"), picture(4, kind="TIFF")]
    for number, data in enumerate(files):
        (tmp_path / f"{number}.img").write_bytes(data)
    expected = predict(registry, [str(tmp_path / f"{number}.img") for number in range(len(files))])

    # What it says of itself.
    assert server.ask("/v2")[1]["name"] == "steel-training"
    assert server.ask("/v2/health/live")[:2] == (200, {"live": True})
    assert server.ask(f"{MODEL}/ready")[:2] == (200, {"name": "steel-defects", "ready": True})
    about = server.ask(f"{MODEL}/versions/v1")[1]
    assert about["versions"] == ["v1"]
    assert [tensor["name"] for tensor in about["outputs"]] == [
        "score",
        "label",
        "threshold",
        "version",
        "cut",
        "patches",
    ]

    # The same figures as predict, as JSON and as binary data.
    status, answer, _ = server.ask(INFER, request(*files, id="7"))
    assert (status, answer["id"], answer["model_version"]) == (200, "7", "v1")
    found = outputs(answer)
    assert [round(score, 6) for score in found["score"]] == [row["score"] for row in expected]
    assert found["label"] == [row["label"] for row in expected]
    assert found["version"] == ["v1"] * len(files)
    text, tail = binary(files)
    headers = {"Inference-Header-Content-Length": str(len(text))}
    status, raw, told = server.ask(INFER, text + tail, headers)
    assert status == 200
    length = int(told["Inference-Header-Content-Length"])
    tensors = json.loads(raw[:length])["outputs"]
    assert [tensor["parameters"]["binary_data_size"] for tensor in tensors] == [16, 24]
    assert list(struct.unpack_from("<4f", raw, length)) == pytest.approx(found["score"], abs=1e-6)
    assert raw[length + 16 :] == b"\x02\x00\x00\x00v1" * 4

    # What it refuses, and with how little memory.
    before = peak_memory(server.process.pid)
    status, answer, _ = server.ask(INFER, request(bomb))
    assert (status, "900000000 pixels" in answer["error"]) == (400, True)
    assert peak_memory(server.process.pid) - before < 50e6, "decoded it would be 900 MB"
    for body, status, said in (
        (request(files[0], files[1][:200]), 400, "Image 1 cannot be scored"),
        (request(b"no image"), 400, "not a PNG"),
        (b"{", 400, "not valid JSON"),
        (b"[" * 100_000, 400, "not valid JSON"),
        (b" " * (32 * 2**20 + 1), 413, "larger"),
    ):
        found_status, answer, _ = server.ask(INFER, body)
        assert (found_status, said in answer["error"]) == (status, True), answer
    for path, body, status in (
        ("/v2/models/other", None, 404),
        ("/v2/models/other/infer", request(files[0]), 404),
        (f"{MODEL}/versions/v2/infer", request(files[0]), 404),
        ("/v1", None, 404),
        (INFER, None, 405),
    ):
        found_status, answer, _ = server.ask(path, body)
        assert (found_status, list(answer)) == (status, ["error"]), path

    # A damaged new champion is told of; the old one serves on. A good one takes over under load, no request lost.
    damaged = Path(registry.store.uri) / "models/steel-defects/versions/v2/saved_model/saved_model.pb"
    whole = damaged.read_bytes()
    damaged.write_bytes(b"torn")
    registry.store.write_json("models/steel-defects/champion.json", {"version": "v2", "moved_at": "now"})
    server.wait_until(lambda: "parameters" in server.ask(MODEL)[1])
    about = server.ask(MODEL)[1]
    assert (about["versions"], "saved_model.pb of version v2" in about["parameters"]["problem"]) == (["v1"], True)
    assert server.ask(INFER, request(files[0]))[1]["model_version"] == "v1"
    assert "version v1 keeps serving" in server.log.read_text(encoding="utf-8")
    changes_over_without_losing_a_request(server, files[0], lambda: damaged.write_bytes(whole))


def binary(files: list[bytes]) -> tuple[bytes, bytes]:
    tail = b"".join(struct.pack("<I", len(file)) + file for file in files)
    tensor = {"name": "image_bytes", "shape": [len(files)], "datatype": "BYTES"}
    tensor["parameters"] = {"binary_data_size": len(tail)}
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in ("score", "version")]
    return json.dumps({"inputs": [tensor], "outputs": wanted}).encode(), tail


def changes_over_without_losing_a_request(server, file: bytes, repair: Callable[[], object]) -> None:
    answers: list[tuple[int, str, float]] = []
    enough = threading.Event()

    def load() -> None:
        while not enough.is_set():
            status, answer, _ = server.ask(INFER, request(file))
            told = outputs(answer) if status == 200 else {"version": [str(answer)], "threshold": [0.0]}
            answers.append((status, told["version"][0], round(told["threshold"][0], 3)))
            enough.wait(0.02)

    callers = [threading.Thread(target=load) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        server.wait_until(lambda: len(answers) >= 6)
        repair()
        server.wait_until(lambda: server.ask(MODEL)[1]["versions"] == ["v2"])
        changed = len(answers)
        server.wait_until(lambda: len(answers) >= changed + 12)
    finally:
        enough.set()
        for caller in callers:
            caller.join(timeout=300)
    assert {status for status, _, _ in answers} == {200}
    # Every answer is one version's whole answer; both served while it went on.
    assert {(version, threshold) for _, version, threshold in answers} == {("v1", 0.4), ("v2", 0.5)}


@pytest.fixture(scope="module")
def steady(registry_in, own_port, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of v1 that scores four progressive colour JPEGs of 512 × 512 pixels in one request, and no more."""
    registry = registry_in(folder := tmp_path_factory.mktemp("steady"))
    registry.promote("v1")
    with running(registry, folder, own_port(), pixel_scans=4 * 512 * 512 * 10) as server:
        server.wait_until(lambda: ready(server))
        yield server


def test_silent_senders_are_in_nobodys_way(steady: Server, picture) -> None:
    server = steady
    body = json.dumps(request(picture(1))).encode()
    port = int(server.address.rsplit(":", 1)[1])
    head = f"POST {INFER} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    silent = []
    for sent in (head, head + body[:-1], head[:40], b""):
        for _ in range(64):
            silent.append(socket.create_connection(("127.0.0.1", port)))
            silent[-1].sendall(sent)
        assert server.ask(INFER, body)[0] == 200
    for connection in silent:
        connection.close()
    assert server.ask(INFER, body)[0] == 200
    assert "Traceback" not in server.log.read_text(encoding="utf-8"), "a sender that leaves is no error"


def test_progressive_jpegs_are_scored_and_bombs_refused(steady: Server, progressive_jpeg) -> None:
    honest = progressive_jpeg(Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)))
    bomb = progressive_jpeg(Image.new("L", (2048, 2048), 128), 400)
    server = steady
    assert server.ask(INFER, request(*[honest] * 4))[0] == 200
    for files, said in (
        ((honest, bomb), "Image 1 cannot be scored: 2048×2048 pixels in 400 scans; at most 32 scans"),
        ([honest] * 5, "13,107,200 pixels × scans together; 10,485,760 are allowed"),
    ):
        status, answer, _ = server.ask(INFER, request(*files))
        assert (status, said in answer["error"]) == (400, True), answer


def test_request_that_waits_for_a_scorer_is_told_so(registry, own_port, picture, tmp_path: Path) -> None:
    with running(registry, tmp_path, own_port(), wait_s=0.2) as server:
        server.wait_until(lambda: ready(server))
        large = request(*[picture(seed, (2048, 2048)) for seed in range(4)])
        body = json.dumps(large).encode()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: server.ask(INFER, body), range(8)))
        assert {status for status, _, _ in answers} == {200, 503}
        assert any(
            "No scorer was free within 0.2 seconds" in answer["error"] for status, answer, _ in answers if status == 503
        )
        assert server.ask(INFER, request(picture(1)))[0] == 200


def test_server_without_champion_is_live_not_ready(begun: Begun) -> None:
    assert begun.live[0] == 200
    assert begun.ready[:2] == (503, {"ready": False})
    status, answer, _ = begun.inferred
    assert (status, "champion" in answer["error"]) == (503, True)
    assert begun.first[1]["model_version"] == "v1", "once it is promoted"
