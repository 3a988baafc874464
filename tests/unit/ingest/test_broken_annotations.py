"""Annotation files that are broken in ways nobody thought of: an error with a name, never a traceback, and nothing written."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from steel_training import ingest
from steel_training.errors import UsageError
from steel_training.ingest.cut_rule import CutRule
from tests.unit.ingest import test_coco as coco
from tests.unit.ingest import test_cvat as cvat
from tests.unit.ingest import test_labelme as labelme
from tests.unit.ingest import test_labelstudio as labelstudio
from tests.unit.ingest import test_voc as voc

BOX = '<box label="pit" xtl="16.0" ytl="24.0" xbr="32.0" ybr="40.0"/><mask label="pit" rle="0, 4" left="1" top="1" width="2" height="2"/>'
SHAPES = [
    {"label": "pit", "points": labelme.CORNERS, "shape_type": "polygon"},
    {"label": "pit", "points": [[16, 24], [31, 39]], "shape_type": "mask", "mask": labelme.png(16, 16)},
]
RUNS = coco.annotation(segmentation={"size": [48, 64], "counts": coco.COMPRESSED})
REGIONS = [labelstudio.result(value) for value in (labelstudio.RECTANGLE, labelstudio.POLYGON, labelstudio.brush())]

# Format → name of its file, a valid one, and how it is read.
FORMATS: dict[str, tuple[str, bytes, Callable[..., object]]] = {
    "voc": ("a.xml", voc.annotation(("pit", 17, 25, 32, 40), width=64, height=48).encode(), ingest.ingest_voc),
    "coco": (
        "coco.json",
        json.dumps(coco.content(annotations=[*coco.annotation(segmentation=coco.POLYGON), *RUNS])).encode(),
        ingest.ingest_coco,
    ),
    "labelme": (
        "a.json",
        json.dumps({"shapes": SHAPES, "imageHeight": 48, "imageWidth": 64}).encode(),
        ingest.ingest_labelme,
    ),
    "cvat": (
        "cvat.xml",
        f'{cvat.HEAD}<image id="0" name="a.png" width="64" height="48">{BOX}</image></annotations>'.encode(),
        ingest.ingest_cvat,
    ),
    "labelstudio": ("ls.json", json.dumps([labelstudio.task("a.png", REGIONS)]).encode(), ingest.ingest_labelstudio),
    "yolo": ("a.txt", b"0 0.375 0.6666667 0.25 0.3333333\n0 0.1 0.1 0.5 0.1 0.5 0.5\n", ingest.ingest_yolo),
    "severstal": (
        "train.csv",
        b"ImageId,ClassId,EncodedPixels\na.png,1,1 5 100 20\nb.png,2,\n",
        ingest.ingest_severstal,
    ),
}
ODD = [
    b"",
    b"\0",
    b"\xff\xfe",
    b"NaN",
    b"1e999",
    b"-1",
    b"99999999999999999999",
    b"null",
    b"[]",
    b"{}",
    b'"',
    b"<",
    b"&x;",
    b"\xc3",
    b"[" * 3000,
]


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Up to three places of a valid file replaced by something odd, cut off, or doubled; or any bytes at all."""
    data = valid
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        until = min(at + draw(st.sampled_from([0, 1, 2, 5, 20, 1000])), len(data))
        new = draw(st.sampled_from([*ODD, data[at : at + 30] * 2]) | st.binary(max_size=4))
        data = data[:at] + new + data[until:]
    return data


@st.composite
def restructured(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid JSON file in which some value is another; other files are damaged as text."""
    try:
        tree = json.loads(valid)
    except ValueError:
        return draw(damaged(valid))
    odd = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=3)
        | st.lists(st.integers(), max_size=3)
    )
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and draw(st.integers(0, 4)):
            node = node[key]
            continue
        node[key] = draw(odd)
        break
    return json.dumps(tree).encode()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken") / "images"
    folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.random.default_rng(1).integers(60, 90, (48, 64), dtype=np.uint8)).save(
            folder / f"{name}.png"
        )
    return folder


def check(images: Path, kind: str, data: bytes) -> None:
    file, valid, read = FORMATS[kind]
    options = {} if kind == "severstal" else {"unmatched": "skip"}
    options |= {"classes": "0=pit"} if kind == "yolo" else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations" / file
        path.parent.mkdir()
        path.write_bytes(data)
        one_file = kind in {"coco", "cvat", "labelstudio", "severstal"}
        out = Path(folder) / "out"
        try:
            read(
                str(images),
                str(path if one_file else path.parent),
                str(out),
                rule=CutRule(patch=24, stride=24),
                missing="clean",
                **options,
            )
        except UsageError as error:
            assert str(error)
            assert not out.exists()
        else:
            assert (out / "manifest.csv").exists()


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_what_is_damaged_here_is_valid_before(images, kind) -> None:
    check(images, kind, FORMATS[kind][1])


@pytest.mark.parametrize("kind", sorted(FORMATS))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_broken_file_is_an_error_with_a_name(images, kind, data) -> None:
    valid = FORMATS[kind][1]
    check(images, kind, data.draw(damaged(valid) | restructured(valid)))


# With BROKEN_FILES=10000 it takes two minutes and more per format.
@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(FORMATS))
@settings(
    max_examples=int(os.environ.get("BROKEN_FILES", "500")), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_many_broken_files_are_errors(images, kind, data) -> None:
    valid = FORMATS[kind][1]
    check(images, kind, data.draw(damaged(valid) | restructured(valid)))
