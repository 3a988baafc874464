"""Datasets that several kinds of tests start from, and what keeps tests apart from one another and from other runs."""

from __future__ import annotations

import gc
import hashlib
import io
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    # Each of the many processes of the tests would compile the whole project anew.
    sys.dont_write_bytecode = False
if "PYTEST_XDIST_WORKER" in os.environ:
    # Test processes keep all cores busy: more threads than that wait for each other longer than they work.
    for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(_name, "1")

import numpy as np
import own_ports
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

if TYPE_CHECKING:
    from steel_training.storage import S3Storage

# A busy machine makes no example wrong; and the same code gets the same examples, whatever an earlier run left behind.
settings.register_profile("check", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("check")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """What was imported stays: each full garbage collection need not look through all of TensorFlow and Airflow again (6 % of CPU time)."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Seeds what tests leave to chance, the first weights of a Keras network among it, alike whatever ran before."""
    random.seed(0)
    np.random.seed(0)
    if tensorflow := sys.modules.get("tensorflow"):
        tensorflow.random.set_seed(0)


def rolled_patch(seed: int, *, defective: bool, side: int = 48) -> np.ndarray:
    """A grey patch with rolling texture, and a dark streak of random place and strength where it is defective."""
    random = np.random.default_rng(seed)
    columns = 120 + 12 * random.standard_normal((1, side)) + random.uniform(-15, 15)
    pixels = columns + 6 * random.standard_normal((side, side))
    if defective:
        top, left = random.integers(2, side // 2, 2)
        pixels[top : top + random.integers(6, side // 2), left : left + random.integers(2, 7)] -= random.uniform(12, 45)
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Path]:
    """Writes a dataset of the contract: 300 patches of 60 photographs on 20 coils, a third of them defective."""

    def make(folder: Path, *, patches: int = 300, **columns: object) -> Path:
        (folder / "patches").mkdir(parents=True)
        rows = []
        for number in range(patches):
            defective = number % 3 == 0
            path = f"patches/p{number:04d}.png"
            Image.fromarray(rolled_patch(number, defective=defective)).save(folder / path)
            source = number // 5
            rows.append(
                {
                    "patch_id": f"p{number:04d}",
                    "path": path,
                    "label": int(defective),
                    "source_id": f"photo{source:03d}",
                    "group_id": f"coil{source % 20:02d}",
                }
            )
        pd.DataFrame(rows).assign(**columns).to_csv(folder / "manifest.csv", index=False)
        return folder

    return make


@pytest.fixture(scope="session")
def progressive_jpeg() -> Callable[..., bytes]:
    """Makes a progressive JPEG as libjpeg writes it: 6 scans for grey, 10 for colour. With `scans`, the last one is repeated until there are
    so many; of a blank image a repetition takes 16 bytes."""

    def make(image: Image.Image, scans: int | None = None) -> bytes:
        data = io.BytesIO()
        image.save(data, format="JPEG", progressive=True)
        whole = data.getvalue()
        if scans is None:
            return whole
        last, end = whole.rindex(b"\xff\xda"), whole.rindex(b"\xff\xd9")
        return whole[:end] + whole[last:end] * (scans - whole.count(b"\xff\xda")) + whole[end:]

    return make


@pytest.fixture(scope="session")
def make_small_network() -> Callable[..., Any]:
    """Makes an untrained Keras network of stock layers that the real ones are made of: images of a size to scores."""

    def make(size: int, seed: int = 0) -> Any:
        import keras

        keras.utils.set_random_seed(seed)
        pixels = keras.Input((size, size, 3))
        x = keras.layers.Conv2D(8, 5, activation="relu")(keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels))
        return keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(keras.layers.GlobalMaxPooling2D()(x)))

    return make


@pytest.fixture(scope="session")
def own_port() -> Callable[[], int]:
    """Gives a port for a server that a test starts: nobody else gets it, and nobody listens on it."""
    return own_ports.own_port


LAST_RESORT_SECONDS = 300


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], Any], str], Any]:
    """Waits until `holds()` is something, and returns it; the second word says what did not happen in five minutes."""

    def wait(holds: Callable[[], Any], what: str) -> Any:
        until = time.monotonic() + LAST_RESORT_SECONDS
        while not (found := holds()):
            assert time.monotonic() < until, f"not within {LAST_RESORT_SECONDS} s: {what}"
            time.sleep(0.01)
        return found

    return wait


@pytest.fixture
def start_review(wait_until: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., tuple[Any, str]]]:
    """Starts `steel-training labels review` with further words: its process, killed after the test, and the address that it prints."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> tuple[subprocess.Popen[str], str]:
        log = tmp_path / f"review{len(started)}.log"
        command = [sys.executable, "-m", "steel_training", "labels", "review", *words]
        with open(log, "w") as err:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True)
        started.append(process)
        wait_until(lambda: "http" in log.read_text() or process.poll() is not None, "an address")
        found = re.search(r"http://\S+", log.read_text())
        assert found, log.read_text()
        return process, found.group(0)

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine that refuses connections for as long as the test lasts: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(autouse=True)
def scratch_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps caches of tests out of the user's cache folder."""
    monkeypatch.setenv("STEEL_TRAINING_SCRATCH", str(tmp_path_factory.getbasetemp() / "scratch"))


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """The address of an S3 server of the tests' own, real over HTTP."""
    from moto.moto_server.werkzeug_app import create_backend_app
    from werkzeug.serving import make_server

    # Not moto's own server of all services: with every request it looks up which one is meant, a sixth of its time.
    server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def s3_environment(s3_address: str) -> dict[str, str]:
    """The environment variables that lead to that server."""
    return {
        "AWS_ENDPOINT_URL": s3_address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",  # pragma: allowlist secret
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture
def s3_bucket(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], S3Storage]:
    """Opens a bucket of that server, with what it holds; the environment leads to it."""
    from steel_training.storage import S3Storage

    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)

    def opened(name: str) -> S3Storage:
        bucket = S3Storage(name)
        bucket.client.create_bucket(Bucket=name)  # in us-east-1 S3 takes that for a bucket that is there already
        return bucket

    return opened


@pytest.fixture
def s3(s3_bucket: Callable[[str], S3Storage]) -> str:
    """An empty bucket."""
    bucket = s3_bucket("steel")
    for entry in bucket.entries():
        bucket.client.delete_object(Bucket="steel", Key=entry.key)
    return "s3://steel"


@pytest.fixture
def s3_copy(s3_bucket: Callable[[str], S3Storage]) -> Callable[[Path], str]:
    """Copies a folder into a bucket of its own, and returns the address. Of a copy that a test before used, only what that
    changed is written again."""

    def copied(folder: Path) -> str:
        name = f"copy-{hashlib.md5(str(folder).encode()).hexdigest()}"
        bucket = s3_bucket(name)
        wanted = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        held = {entry.key: entry.etag.strip('"') for entry in bucket.entries()}
        for key in held.keys() - wanted.keys():
            bucket.client.delete_object(Bucket=name, Key=key)
        for key, path in wanted.items():
            if held.get(key) != hashlib.md5(data := path.read_bytes()).hexdigest():
                bucket.write(key, data)
        return f"s3://{name}"

    return copied
