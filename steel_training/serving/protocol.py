"""The open inference protocol (KServe V2, REST): parses requests and formats responses; no I/O.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol, with its binary tensor extension: a
BYTES element is a little-endian uint32 length followed by that many bytes, and the header
`Inference-Header-Content-Length` gives the length of the JSON before them.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict

from steel_training.errors import UsageError
from steel_training.serving.model import Answer
from steel_training.storage.json_types import Json

INPUT = "image_bytes"
# `cut` and `patches` are those of `Answer`; the patches of an image are one element, a JSON list.
OUTPUTS = {
    "score": "FP32",
    "label": "INT32",
    "threshold": "FP32",
    "version": "BYTES",
    "cut": "INT32",
    "patches": "BYTES",
}
LENGTH_HEADER = "Inference-Header-Content-Length"
MAX_IMAGES = 64


class BadRequest(UsageError):
    """A request does not follow the protocol or does not fit the model; answered with 400."""


class Inference:
    """One parsed inference request.

    Attributes:
        files: image files as received, not yet validated.
        id: the request's id, repeated in the response; `None` without one.
        outputs: names of the tensors to return, in order, and whether each is returned as binary data.
    """

    def __init__(self, body: bytes, header_length: str | None = None) -> None:
        """Parse a request.

        Args:
            body: of the HTTP request.
            header_length: value of `Inference-Header-Content-Length`; `None` where the whole body is JSON.

        Raises:
            BadRequest: the request does not follow the protocol, asks for an unknown output, or has over `MAX_IMAGES` images.
        """
        text, binary = _split(body, header_length)
        try:
            request = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"The request is not valid JSON: {error}") from None
        if not isinstance(request, dict):
            raise BadRequest(f"The request is JSON of type {type(request).__name__}; expected an object with 'inputs'.")
        named = request.get("id")
        self.id: str | None = named if isinstance(named, str) else None
        self.files = _files(request.get("inputs"), binary)
        self.outputs = _outputs(request)


def answer(model: str, asked: Inference, found: Sequence[Answer]) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of the response.

    Args:
        model: name of the model.
        asked: the request.
        found: one prediction per image, in order.
    """
    tensors, tail = [], b""
    for name, as_binary in asked.outputs.items():
        values = [_boxes(one) if name == "patches" else getattr(one, name) for one in found]
        tensor: dict[str, Json] = {"name": name, "datatype": OUTPUTS[name], "shape": [len(found)]}
        if as_binary:
            data = _packed(OUTPUTS[name], values)
            tensor["parameters"] = {"binary_data_size": len(data)}
            tail += data
        else:
            tensor["data"] = values
        tensors.append(tensor)
    content: dict[str, Json] = {"model_name": model, "model_version": found[0].version, "outputs": tensors}
    if asked.id is not None:
        content["id"] = asked.id
    text = json.dumps(content).encode()
    if not tail:
        return text, {"Content-Type": "application/json"}
    return text + tail, {"Content-Type": "application/octet-stream", LENGTH_HEADER: str(len(text))}


def _boxes(one: Answer) -> str:
    return json.dumps([asdict(patch) for patch in one.patches])


def _split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    if header_length is None:
        return body, b""
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 20):
        raise BadRequest(f"{LENGTH_HEADER} is {header_length!r}; expected the length of the JSON in bytes.")
    length = int(header_length)
    if length > len(body):
        raise BadRequest(f"{LENGTH_HEADER} is {length}, but the body has {len(body)} bytes.")
    return body[:length], body[length:]


def _files(inputs: Json, binary: bytes) -> list[bytes]:
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise BadRequest(f"'inputs' must be a list of one tensor, '{INPUT}'.")
    tensor: Mapping[str, Json] = inputs[0]
    if tensor.get("name") != INPUT or tensor.get("datatype") != "BYTES":
        raise BadRequest(
            f"The input is '{tensor.get('name')}' of {tensor.get('datatype')}; the model takes '{INPUT}' of BYTES."
        )
    count = _count(tensor.get("shape"))
    size = _parameters(tensor).get("binary_data_size")
    if size is not None:
        files = _unpacked(size, binary)
    elif binary:
        raise BadRequest("Binary data follows the JSON, but the input has no parameter 'binary_data_size'.")
    else:
        files = [_from_base64(place, text) for place, text in enumerate(_flat(tensor.get("data")))]
    if len(files) != count:
        raise BadRequest(f"The shape has {count} images, but the data has {len(files)}.")
    return files


def _count(shape: Json) -> int:
    numbers = shape if isinstance(shape, list) else []
    if not all(type(number) is int for number in numbers) or len(numbers) not in (1, 2) or numbers[1:] not in ([], [1]):
        raise BadRequest(f"The shape is {shape!r}; expected [n] or [n, 1].")
    if not 1 <= numbers[0] <= MAX_IMAGES:
        raise BadRequest(f"{numbers[0]} images in one request; from 1 to {MAX_IMAGES} are allowed.")
    return int(numbers[0])


def _flat(data: Json) -> list[Json]:
    if not isinstance(data, list):
        raise BadRequest("The input has no 'data': a list of image files in base64.")
    return [cell for row in data for cell in (row if isinstance(row, list) else [row])]


def _from_base64(place: int, text: Json) -> bytes:
    if isinstance(text, str):
        with suppress(UnicodeEncodeError, binascii.Error):
            return base64.b64decode(text.encode("ascii"), validate=True)
    raise BadRequest(f"Image {place} is not valid base64.")


def _unpacked(size: Json, binary: bytes) -> list[bytes]:
    if type(size) is not int or size != len(binary):
        raise BadRequest(f"'binary_data_size' is {size!r}, but {len(binary)} bytes follow the JSON.")
    files, place = [], 0
    while place < len(binary):
        if place + 4 > len(binary):
            raise BadRequest("The binary data ends within the length of an element.")
        (length,) = struct.unpack_from("<I", binary, place)
        place += 4
        if place + length > len(binary):
            raise BadRequest(f"An element has length {length}, but only {len(binary) - place} bytes are left.")
        files.append(binary[place : place + length])
        place += length
    return files


def _packed(datatype: str, values: Sequence[float | str]) -> bytes:
    if datatype == "BYTES":
        texts = [str(value).encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return struct.pack(f"<{len(values)}{'f' if datatype == 'FP32' else 'i'}", *values)


def _outputs(request: Mapping[str, Json]) -> dict[str, bool]:
    all_binary = bool(_parameters(request).get("binary_data_output", False))
    wanted = request.get("outputs")
    if wanted is None:
        return dict.fromkeys(OUTPUTS, all_binary)
    if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
        raise BadRequest("'outputs' must be a list of objects with a 'name'.")
    found = {}
    for one in wanted:
        name = one.get("name")
        if not isinstance(name, str) or name not in OUTPUTS:
            raise BadRequest(f"There is no output {name!r}; the model has {', '.join(OUTPUTS)}.")
        found[name] = bool(_parameters(one).get("binary_data", all_binary))
    return found or dict.fromkeys(OUTPUTS, all_binary)


def _parameters(holder: Mapping[str, Json]) -> Mapping[str, Json]:
    found = holder.get("parameters", {})
    if not isinstance(found, dict):
        raise BadRequest("'parameters' must be an object.")
    return found
