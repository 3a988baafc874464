"""An S3 service of the tests' own, real over HTTP; and features that come out alike however busy the machine is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from steel_training.storage import S3Storage
from steel_training.training import inference

# What takes long in TensorFlow's graph goes on in LiteRT, which rounds otherwise; `test_inference.py` asks for that where it is meant.
inference.GRAPH_SECONDS = float("inf")


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An S3 server, and a bucket that is empty."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",  # pragma: allowlist secret
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = S3Storage("steel").client
    client.create_bucket(Bucket="steel")
    for entry in S3Storage("steel").entries():
        client.delete_object(Bucket="steel", Key=entry.key)
    return "s3://steel"
