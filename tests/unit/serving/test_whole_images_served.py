"""A real server process answers on whole images as `predict` does: a score, and a box and score for each defective patch."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from steel_training.bundle.input_record import InputRecord
from steel_training.data.grey_range import GreyRange
from steel_training.registry import Registry
from steel_training.serving.prediction import predict
from steel_training.storage import open_storage

from .conftest import Server, running

INFER = "/v2/models/steel-defects/infer"
RANGE = GreyRange(100, 3000)


class Served(NamedTuple):
    server: Server
    registry: Registry


@pytest.fixture(scope="module")
def served(own_port, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model of patches of 40×40 pixels, from a dataset of 16 bits; to it, bright is defective."""
    import keras

    from steel_training.bundle.export import export

    pixels = keras.Input((32, 32, 3))
    dense = keras.layers.Dense(1, activation="sigmoid")
    network = keras.Model(pixels, dense(keras.layers.GlobalAveragePooling2D()(pixels)))
    dense.set_weights([np.full((3, 1), 0.25 / 3), np.array([-0.25 * 50])])
    folder = tmp_path_factory.mktemp("whole")
    (folder / "made").mkdir()
    takes = InputRecord((40, 40), RANGE)
    export(network, folder / "made", threshold=0.5, input_size=32, version="v1", takes=takes)
    (folder / "made" / "gate.json").write_text(json.dumps({"judged_at": "2026-11-29"}), encoding="utf-8")
    registry = Registry(open_storage(folder / "store"), "steel-defects")
    registry.publish(folder / "made", "v1")
    registry.promote("v1")
    with running(registry, folder, own_port()) as server:
        server.wait_until(lambda: server.ask("/v2/health/ready")[0] == 200)
        yield Served(server, registry)


def written(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format=kind)
    return data.getvalue()


def in_a_corner(shape: tuple[int, int]) -> np.ndarray:
    """Noise in the last 40×40 pixels of a black image."""
    pixels = np.zeros((*shape, 3), np.uint8)
    pixels[-40:, -40:] = np.random.default_rng(3).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    return pixels


def ask(server: Server, *files: bytes, **more: object) -> dict[str, list]:
    data = [base64.b64encode(file).decode() for file in files]
    tensor = {"name": "image_bytes", "shape": [len(files)], "datatype": "BYTES", "data": data}
    status, answer, _ = server.ask(INFER, {"inputs": [tensor], **more})
    assert status == 200, answer
    assert all(tensor["shape"] == [len(files)] for tensor in answer["outputs"])
    return {tensor["name"]: tensor["data"] for tensor in answer["outputs"]}


def test_score_and_boxes_are_those_of_predict(served: Served, tmp_path: Path) -> None:
    steel = np.random.default_rng(0).integers(0, 4096, (90, 40)).astype(np.uint16)
    files = {
        "whole.png": written(in_a_corner((70, 100))),
        "patch.png": written(in_a_corner((40, 40))),
        "black.png": written(np.zeros((80, 80), np.uint8)),
        "whole.tif": written(in_a_corner((80, 120)), "TIFF"),
        "deep.tif": written(steel, "TIFF"),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    rows = predict(served.registry, [str(tmp_path / name) for name in files])
    found = ask(served.server, *files.values())
    assert found["score"] == pytest.approx([row["score"] for row in rows], abs=1e-6)
    assert found["label"] == [row["label"] for row in rows]
    assert found["cut"] == [row.get("cut", 0) for row in rows] == [6, 0, 4, 6, 3]
    for boxes, row in zip(found["patches"], rows, strict=True):
        expected = row.get("patches", [])
        boxes = json.loads(boxes)
        assert [{**box, "score": 0} for box in boxes] == [{**box, "score": 0} for box in expected]
        assert [box["score"] for box in boxes] == pytest.approx([box["score"] for box in expected], abs=1e-6)
        assert all(box["score"] >= row["threshold"] - 1e-6 for box in boxes)
    boxes = json.loads(found["patches"][0])
    assert [(box["x"], box["y"], box["width"], box["height"]) for box in boxes] == [(40, 30, 40, 40), (60, 30, 40, 40)]
    assert found["score"][0] == pytest.approx(boxes[1]["score"])
    assert [len(json.loads(boxes)) for boxes in found["patches"]] == [2, 0, 0, 1, 3]


def test_boxes_are_sent_alone_and_as_binary_data(served: Served) -> None:
    whole = written(in_a_corner((70, 100)))
    plain = ask(served.server, whole, outputs=[{"name": "patches"}])
    assert list(plain) == ["patches"]
    tensor = {"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(whole).decode()]}
    wanted = [{"name": "patches", "parameters": {"binary_data": True}}]
    status, raw, headers = served.server.ask(INFER, {"inputs": [tensor], "outputs": wanted})
    assert status == 200
    tail = raw[int(headers["Inference-Header-Content-Length"]) :]
    assert struct.unpack_from("<I", tail)[0] == len(tail) - 4
    assert tail[4:].decode() == plain["patches"][0]


def test_what_is_no_patch_and_cannot_be_cut_is_refused_with_both_sizes(served: Served) -> None:
    data = base64.b64encode(written(np.zeros((39, 200), np.uint8))).decode()
    tensor = {"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": [data]}
    status, answer, _ = served.server.ask(INFER, {"inputs": [tensor]})
    assert status == 400
    assert "200×39 pixels; the model was trained on patches of 40×40" in answer["error"]
