"""Files that are broken in ways nobody thought of: an error with a name, never a traceback, and nothing written.

Annotations of every format, masks, tables of groups, lists of classes, and images of 16 bits; each is ingested, and looked at by `ingest inspect`.
"""

from __future__ import annotations

import contextlib
import io
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
from steel_training.data.grey_range import GreyRange
from steel_training.errors import UsageError
from steel_training.ingest.cut_rule import CutRule
from steel_training.ingest.inspection import inspect
from tests.unit.ingest import test_coco as coco
from tests.unit.ingest import test_cvat as cvat
from tests.unit.ingest import test_labelme as labelme
from tests.unit.ingest import test_labelstudio as labelstudio
from tests.unit.ingest import test_voc as voc

# How a format is read: the folder of images, the file, and the folder of the new dataset.
Reader = Callable[[Path, Path, str], object]
RULE = CutRule(patch=24, stride=24)

BOX = '<box label="pit" xtl="16.0" ytl="24.0" xbr="32.0" ybr="40.0"/><mask label="pit" rle="0, 4" left="1" top="1" width="2" height="2"/>'
SHAPES = [
    {"label": "pit", "points": labelme.CORNERS, "shape_type": "polygon"},
    {"label": "pit", "points": [[16, 24], [31, 39]], "shape_type": "mask", "mask": labelme.png(16, 16)},
]
RUNS = coco.annotation(segmentation={"size": [48, 64], "counts": coco.COMPRESSED})
REGIONS = [labelstudio.result(value) for value in (labelstudio.RECTANGLE, labelstudio.POLYGON, labelstudio.brush())]


def image_file(kind: str, **options: object) -> bytes:
    """A mask of 64×48 pixels: two rectangles of class 1 and 2."""
    mask = np.zeros((48, 64), np.uint8)
    mask[24:40, 16:32], mask[2:6, 40:60] = 1, 2
    data = io.BytesIO()
    Image.fromarray(mask).save(data, format=kind, **options)
    return data.getvalue()


def of_folder(read: Callable[..., object], **options: object) -> Reader:
    return lambda images, path, out: read(
        str(images), str(path.parent), out, rule=RULE, missing="clean", unmatched="skip", **options
    )


def of_file(read: Callable[..., object]) -> Reader:
    return lambda images, path, out: read(str(images), str(path), out, rule=RULE, missing="clean", unmatched="skip")


def as_classes(images: Path, path: Path, out: str) -> None:
    label = path.parent / "a.txt"
    label.write_text("0 0.375 0.6666667 0.25 0.3333333\n1 0.1 0.1 0.5 0.1 0.5 0.5\n")
    of_folder(ingest.ingest_yolo, classes=str(path))(images, path, out)


def as_groups(images: Path, path: Path, out: str) -> None:
    ingest.ingest_folders(str(images.parent), out, names=("images",), groups=str(path))


def as_images(_: Path, path: Path, out: str) -> None:
    ingest.ingest_folders(str(path.parent.parent), out, names=("annotations",), grey_range=GreyRange(0, 4095))


def deep_image(kind: str) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)).save(data, format=kind)
    return data.getvalue()


# Format → name of its file, a valid one, and how it is read.
FORMATS: dict[str, tuple[str, bytes, Reader]] = {
    "voc": (
        "a.xml",
        voc.annotation(("pit", 17, 25, 32, 40), width=64, height=48).encode(),
        of_folder(ingest.ingest_voc),
    ),
    "coco": (
        "coco.json",
        json.dumps(coco.content(annotations=[*coco.annotation(segmentation=coco.POLYGON), *RUNS])).encode(),
        of_file(ingest.ingest_coco),
    ),
    "labelme": (
        "a.json",
        json.dumps({"shapes": SHAPES, "imageHeight": 48, "imageWidth": 64}).encode(),
        of_folder(ingest.ingest_labelme),
    ),
    "cvat": (
        "cvat.xml",
        f'{cvat.HEAD}<image id="0" name="a.png" width="64" height="48">{BOX}</image></annotations>'.encode(),
        of_file(ingest.ingest_cvat),
    ),
    "labelstudio": (
        "ls.json",
        json.dumps([labelstudio.task("a.png", REGIONS)]).encode(),
        of_file(ingest.ingest_labelstudio),
    ),
    "yolo": (
        "a.txt",
        b"0 0.375 0.6666667 0.25 0.3333333\n0 0.1 0.1 0.5 0.1 0.5 0.5\n",
        of_folder(ingest.ingest_yolo, classes="0=pit"),
    ),
    "yolo_pose": (
        "a.txt",
        b"0 0.375 0.6666667 0.25 0.3333333 0.4 0.7 2\n0 0.5 0.5 0.2 0.2 0.5 0.5 1 0 0 0\n",
        of_folder(ingest.ingest_yolo, classes="0=pit", task="pose"),
    ),
    "yolo_classes": ("data.yaml", b"path: .\nnc: 2\nnames:\n  0: pit\n  1: scratch\n", as_classes),
    "severstal": (
        "train.csv",
        b"ImageId,ClassId,EncodedPixels\na.png,1,1 5 100 20\nb.png,2,\n",
        of_file(ingest.ingest_severstal),
    ),
    "masks_png": ("a.png", image_file("PNG"), of_folder(ingest.ingest_masks)),
    "masks_bmp": ("a.bmp", image_file("BMP"), of_folder(ingest.ingest_masks)),
    "masks_tiff": ("a.tif", image_file("TIFF", compression="tiff_lzw"), of_folder(ingest.ingest_masks)),
    "images_png": ("a.png", deep_image("PNG"), as_images),
    "images_tiff": ("a.tif", deep_image("TIFF"), as_images),
    "groups": ("groups.csv", b"source_id;group_id;line\nimages/a;coil1;2\nimages/b.png;coil1;2\n", as_groups),
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


def check(images: Path, kind: str, data: bytes, *, valid: bool = False) -> None:
    """Ingest a file and look at it with `inspect`: both end with a result, or with an error that has a message."""
    file, _, read = FORMATS[kind]
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "annotations" / file, Path(folder) / "out"
        path.parent.mkdir()
        path.write_bytes(data)
        try:
            read(images, path, str(out))
        except UsageError as error:
            assert str(error)
            assert not out.exists()
            assert not valid
        else:
            assert (out / "manifest.csv").exists()
        with contextlib.suppress(UsageError):
            assert inspect(str(path.parent))


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_what_is_damaged_here_is_valid_before(images, kind) -> None:
    check(images, kind, FORMATS[kind][1], valid=True)


@pytest.mark.parametrize("kind", sorted(FORMATS))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_broken_file_is_an_error_with_a_name(images, kind, data) -> None:
    valid = FORMATS[kind][1]
    check(images, kind, data.draw(damaged(valid) | restructured(valid)))


# How many is BROKEN_FILES (CONTRIBUTING.md): 10,000 take 4 to 16 minutes per format.
@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(FORMATS))
@settings(
    max_examples=int(os.environ.get("BROKEN_FILES", "250")), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_many_broken_files_are_errors(images, kind, data) -> None:
    valid = FORMATS[kind][1]
    check(images, kind, data.draw(damaged(valid) | restructured(valid)))
