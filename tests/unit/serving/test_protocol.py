"""A request is taken apart exactly as the protocol says, or refused with a reason; nothing else comes out."""

from __future__ import annotations

import base64
import contextlib
import json
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steel_training.serving.model import Answer
from steel_training.serving.protocol import MAX_IMAGES, OUTPUTS, BadRequest, Inference, answer
from steel_training.serving.whole_images import ScoredPatch

FILE = base64.b64encode(b"file").decode()


def body(**changed: object) -> bytes:
    tensor = {"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": [FILE], **changed}
    return json.dumps({"inputs": [tensor]}).encode()


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5), st.booleans())
def test_files_arrive_as_they_were_sent(files: list[bytes], column: bool) -> None:
    data: list = [base64.b64encode(file).decode() for file in files]
    if column:
        data = [[text] for text in data]
    assert Inference(body(shape=[len(files), 1] if column else [len(files)], data=data)).files == files
    tail = b"".join(struct.pack("<I", len(file)) + file for file in files)
    text = body(shape=[len(files)], data=None, parameters={"binary_data_size": len(tail)})
    assert Inference(text + tail, str(len(text))).files == files


@pytest.mark.parametrize(
    ("request_body", "said"),
    [
        (b"", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[]", "type list"),
        (b"{}", "list of one tensor"),
        (b'{"inputs": [{}, {}]}', "list of one tensor"),
        (body(name="pixels"), "takes 'image_bytes' of BYTES"),
        (body(datatype="FP32"), "takes 'image_bytes' of BYTES"),
        (body(shape=[2]), "has 2 images, but the data has 1"),
        (body(shape=[]), "expected [n]"),
        (body(shape=[True]), "expected [n]"),
        (body(shape=[1, 3]), "expected [n]"),
        (body(shape="1"), "expected [n]"),
        (body(shape=[0], data=[]), "from 1 to"),
        (body(shape=[MAX_IMAGES + 1], data=[FILE] * (MAX_IMAGES + 1)), "from 1 to"),
        (body(data=None), "no 'data'"),
        (body(data=["é"]), "Image 0 is not valid base64"),
        (body(data=["a"]), "Image 0 is not valid base64"),
        (body(data=[1]), "Image 0 is not valid base64"),
        (body(parameters=3), "must be an object"),
        (body(parameters={"binary_data_size": 3}), "but 0 bytes follow"),
        (json.dumps({**json.loads(body()), "outputs": [{"name": "accuracy"}]}).encode(), "no output 'accuracy'"),
        (json.dumps({**json.loads(body()), "outputs": [{"name": ["x"]}]}).encode(), "no output"),
        (json.dumps({**json.loads(body()), "outputs": "score"}).encode(), "list of objects"),
    ],
)
def test_invalid_request_is_refused_with_a_reason(request_body: bytes, said: str) -> None:
    with pytest.raises(BadRequest) as told:
        Inference(request_body)
    assert said in str(told.value)


@pytest.mark.parametrize("length", ["", "-1", "1e3", "99999", "²", "9" * 30])
def test_wrong_json_length_is_refused(length: str) -> None:
    with pytest.raises(BadRequest, match="Inference-Header-Content-Length"):
        Inference(body(), length)


@given(st.binary(max_size=40), st.integers(0, 60))
def test_binary_data_is_parsed_or_refused(tail: bytes, count: int) -> None:
    text = body(shape=[max(count, 1)], parameters={"binary_data_size": len(tail)})
    try:
        files = Inference(text + tail, str(len(text))).files
    except BadRequest:
        return
    assert b"".join(struct.pack("<I", len(file)) + file for file in files) == tail


WORDS = st.sampled_from(["", "binary_data_size", "binary_data", "name", "score", FILE])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(width=16) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
TENSOR = st.fixed_dictionaries({}, optional=dict.fromkeys(("shape", "data", "parameters"), JSON))


@given(
    st.fixed_dictionaries(
        {"inputs": st.lists(TENSOR, min_size=1, max_size=1)},
        optional={"outputs": JSON, "parameters": JSON, "id": JSON},
    )
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_is_parsed_or_refused(request_json: dict) -> None:
    for tensor in request_json["inputs"]:
        tensor.update({"name": "image_bytes", "datatype": "BYTES"})
    with contextlib.suppress(BadRequest):
        Inference(json.dumps(request_json).encode())


def test_response_has_the_id_and_requested_outputs() -> None:
    asked = json.loads(body())
    asked.update({"id": "42", "outputs": [{"name": "label"}, {"name": "version"}]})
    content, headers = answer("steel", Inference(json.dumps(asked).encode()), [Answer(0.25, 1, 0.5, "v1")])
    assert json.loads(content) == {
        "model_name": "steel",
        "model_version": "v1",
        "id": "42",
        "outputs": [
            {"name": "label", "datatype": "INT32", "shape": [1], "data": [1]},
            {"name": "version", "datatype": "BYTES", "shape": [1], "data": ["v1"]},
        ],
    }
    assert headers == {"Content-Type": "application/json"}


CUT = Answer(0.25, 1, 0.5, "v1", cut=2, patches=(ScoredPatch(40, 0, 40, 40, 0.25),))


def test_binary_output_for_all_tensors() -> None:
    asked = {**json.loads(body()), "parameters": {"binary_data_output": True}}
    content, headers = answer("steel", Inference(json.dumps(asked).encode()), [CUT])
    length = int(headers["Inference-Header-Content-Length"])
    assert [tensor["name"] for tensor in json.loads(content[:length])["outputs"]] == list(OUTPUTS)
    boxes = b'[{"x": 40, "y": 0, "width": 40, "height": 40, "score": 0.25}]'
    strings = b"\x02\x00\x00\x00v1", struct.pack("<i", 2), struct.pack("<I", len(boxes)) + boxes
    assert content[length:] == struct.pack("<fif", 0.25, 1, 0.5) + b"".join(strings)
