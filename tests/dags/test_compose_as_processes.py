"""Of what the compose file says, processes of one machine get other hosts, ports and paths, and all the rest as it stands."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from composed.database import PREFIX, Database, connected
from composed.stack import Stack, missing
from composed.translation import LISTENS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack that is not started."""
    return Stack(tmp_path_factory.mktemp("stack"))


def test_commands_differ_only_in_addresses(stack: Stack) -> None:
    ports = stack.ports
    assert stack.command("scheduler") == ["airflow", "scheduler"]
    assert stack.command("init") == ["bash", f"{ROOT}/scripts/init.sh"]
    queue = ["airflow", "celery", "worker", "--queues", "gpu", "--concurrency", "1"]
    assert stack.command("gpu-worker-on-cpu") == [*queue, "--celery-hostname", "gpu-worker-on-cpu"]
    board = stack.command("tensorboard")
    assert board[:2] == ["python", f"{ROOT}/scripts/show_trainings.py"]
    assert board[-4:] == ["--host", "127.0.0.1", "--port", str(ports["tensorboard"])]
    assert "requirepass %s" in stack.command("redis")[-1]
    assert f"{stack.folder}/tmp/redis.conf" in stack.command("redis")[-1]


def test_environment_has_no_container_address(stack: Stack) -> None:
    for name, service in stack.services.items():
        environment = stack.environment(name)
        assert service.environment.keys() <= environment.keys()
        for key in service.environment:
            value = environment[key]
            assert not any(f"{host}:{port}" in value for host, port in LISTENS.items()), f"{name}: {key}={value}"
            assert "/opt/" not in value, f"{name}: {key}={value}"
        changed = {key for key, value in service.environment.items() if environment[key] != value}
        addresses = {"DAGS_FOLDER", "PLUGINS_FOLDER", "PASSWORDS_FILE", "SERVER_URL", "CONN", "BROKER_URL", "BACKEND"}
        others = {"AWS_ENDPOINT_URL", "STEEL_TRAINING_ROOTS", "STEEL_TRAINING_SCRATCH"}
        assert all(key in others or key.endswith(tuple(addresses)) for key in changed), changed


def test_services_do_not_inherit_the_environment(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW__CORE__PARALLELISM", "AWS_PROFILE", "STEEL_TRAINING_STORE", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "of the caller")
    environment = stack.environment("scheduler")
    assert "of the caller" not in environment.values()
    assert "AWS_ACCESS_KEY_ID" not in environment


def test_database_has_its_own_name_and_password(stack: Stack) -> None:
    account = f"{stack.database.name}:{stack.env['POSTGRES_PASSWORD']}"
    where = f"{stack.database.host}:{stack.database.port}/{stack.database.name}"
    environment = stack.environment("worker")
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"postgresql+psycopg2://{account}@{where}"
    assert environment["AIRFLOW__CELERY__RESULT_BACKEND"] == f"db+postgresql://{account}@{where}"


def test_service_ends_with_its_parent_process(tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    source = (
        "import os, pathlib, signal, sys\nfrom composed.process import ServiceProcess\n"
        f"made = ServiceProcess(['sleep', '3600'], dict(os.environ), pathlib.Path({str(tmp_path / 'log')!r}))\n"
        "print(made.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", source]
    killed = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "integration")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL

    def ended() -> bool:
        try:
            return psutil.Process(int(killed.stdout)).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    wait_until(ended, "the end of the service")


@pytest.mark.skipif(bool(missing()), reason="the database of a stack is made in a Postgres")
def test_only_unused_databases_are_removed() -> None:
    def roles() -> set[str]:
        with connected() as cursor:
            cursor.execute("SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [PREFIX])
            return {name for (name,) in cursor.fetchall()}

    mine, left, next_one = (f"{PREFIX}{secrets.token_hex(4)}" for _ in range(3))
    with Database(mine, "word").made():
        with connected() as cursor:  # as one does that was killed
            cursor.execute(f"CREATE ROLE {left}")
            cursor.execute(f"CREATE DATABASE {left} OWNER {left}")
        with Database(next_one, "word").made():
            assert {mine, next_one} <= roles()
            assert left not in roles()
        assert next_one not in roles()
        assert mine in roles()
