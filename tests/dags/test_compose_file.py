"""The compose file as a strict reader has it: a slip is found before Docker is asked, and everything starts in order."""

from __future__ import annotations

from pathlib import Path

import make_env
import pytest
import yaml
from composed.file import ComposeInvalid, read_compose, read_env
from pydantic import ValidationError

ROOT = Path(__file__).resolve().parents[2]

FILE = ROOT / "docker-compose.yaml"


@pytest.fixture(scope="module")
def environment_file() -> dict[str, str]:
    return read_env(make_env.filled((ROOT / ".env.example").read_text(encoding="utf-8")))


def test_compose_file_has_only_known_keys(environment_file: dict[str, str]) -> None:
    read = read_compose(FILE, environment_file)
    assert list(read.services) == list(yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"])


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ("restart: unless-stopped", "restart: allways"),
        ("    healthcheck:\n", "    health_check:\n"),
        ("init: { condition: service_completed", "inti: { condition: service_completed"),
        ("s3: { condition: service_healthy }", "s3: { condition: service_helthy }"),
        ('volumes: ["s3:/data"]', 'volumes: ["s4:/data"]'),
        ("networks: [store]", "networks: [stores]"),
        ('ports: ["127.0.0.1:', 'ports: ["0.0.0.0:'),
        ("image: chrislusf/seaweedfs:4.47", "image: chrislusf/seaweedfs:latest"),
        ("interval: 10s", "interval: 10"),
    ],
)
def test_mistake_in_the_compose_file_is_found(
    there: str, instead: str, environment_file: dict[str, str], tmp_path: Path
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert there in text
    (tmp_path / "docker-compose.yaml").write_text(text.replace(there, instead), encoding="utf-8")
    with pytest.raises(ValidationError):
        read_compose(tmp_path / "docker-compose.yaml", environment_file)


def test_missing_secret_prevents_the_start(environment_file: dict[str, str]) -> None:
    for secret in make_env.SECRETS:
        with pytest.raises(ComposeInvalid, match=secret):
            read_compose(FILE, {**environment_file, secret: ""})


def test_services_start_after_their_dependencies(environment_file: dict[str, str]) -> None:
    read = read_compose(FILE, environment_file)
    started = read.started({"cpu"})
    assert "gpu-worker-on-cpu" in started
    assert {"gpu-worker", "deploy", "tensorflow-serving"}.isdisjoint(started)
    order = list(started)
    for name, service in started.items():
        assert all(order.index(other) < order.index(name) for other in service.depends_on)
        if name not in {"postgres", "redis", "s3", "init"}:
            assert service.depends_on.keys() == {"init"}
    assert set(started["init"].depends_on) == {"postgres", "redis", "s3"}


def test_number_of_gpus_can_be_configured(environment_file: dict[str, str]) -> None:
    for cards in ("1", "2", "all"):
        read = read_compose(FILE, {**environment_file, "STEEL_TRAINING_GPUS": cards})
        deploy = read.services["gpu-worker"].deploy
        assert deploy is not None
        assert [device.count for device in deploy.resources.reservations.devices] == [cards]
