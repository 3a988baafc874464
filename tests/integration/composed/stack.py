"""Starts the services of docker-compose.yaml as processes of this machine, in their order and on their conditions.

Two services are not started by their own command: Postgres is the one of this machine, with a database and a role of the
stack's own; S3 is moto's server, since the image's program is not to be had as a package. It keeps everything in memory and
believes every key. Redis runs by the command of the file. All else is in `translation`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from make_env import filled
from own_ports import own_port

from composed.database import PREFIX, Database
from composed.file import Condition, read_compose, read_env
from composed.process import ServiceProcess
from composed.translation import LISTENS, LOCAL, Translation

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "docker-compose.yaml"
PROFILES = frozenset({"cpu"})
READY_WITHIN_SECONDS = 300
# The only variables passed on: a container does not see its host's environment either.
OF_THE_MACHINE = ("LANG", "LC_ALL", "TZ", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


class NotReady(Exception):
    """A service did not reach the state that another one depends on."""


@dataclass
class Stack:
    """The services of docker-compose.yaml on this machine.

    Args:
        folder: holds all that the stack keeps, logs among it.
        variables: that differ from the `.env` which `make env` writes.
    """

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports = {name: own_port() for name in LISTENS}
        published = {"AIRFLOW_PORT": "api-server", "TENSORBOARD_PORT": "tensorboard", "S3_PORT": "s3"}
        self.env = {
            **read_env(filled((ROOT / ".env.example").read_text(encoding="utf-8"))),
            **{variable: str(self.ports[name]) for variable, name in published.items()},
            "STEEL_TRAINING_TENSORBOARD_URL": f"http://localhost:{self.ports['tensorboard']}",
            **self.variables,
        }
        self.services = read_compose(FILE, self.env).started(set(PROFILES))
        self.database = Database(f"{PREFIX}{secrets.token_hex(4)}", self.env["POSTGRES_PASSWORD"])
        self.translation = Translation(ROOT, self.folder, self.database, self.ports)
        self.processes: dict[str, ServiceProcess] = {}
        self.seconds: dict[str, float] = {}
        self._further: Mapping[str, Mapping[str, str]] = {}

    @property
    def address(self) -> str:
        """Of the Airflow UI and its API."""
        return f"http://localhost:{self.ports['api-server']}"

    @contextmanager
    def running(self, **further: Mapping[str, str]) -> Iterator[Stack]:
        """Starts everything, and removes everything but the folder at the end.

        Args:
            further: variables that a service gets besides those of the file, by its name, whenever it is started.

        Raises:
            NotReady: a service did not start.
            psycopg2.Error: Postgres does not answer, or makes no database for this user.
        """
        self._further = further
        for here in self.translation.paths.values():
            here.mkdir(parents=True, exist_ok=True)
        for name in ("airflow/auth", "airflow/logs", "said", "redis"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._write_stand_ins()
        with self.database.made():
            try:
                for name in self.services:
                    self.start(name)
                for name, service in self.services.items():
                    if service.healthcheck is not None:
                        self.wait_for(name, "service_healthy")
                yield self
            finally:
                self._stop()

    def start(self, name: str) -> None:
        """Starts a service when its dependencies are ready."""
        service = self.services[name]
        for other, depends in service.depends_on.items():
            self.wait_for(other, depends.condition)
        command = self.command(name)
        if command:
            log = self.folder / "said" / f"{name}.log"
            environment = {**self.environment(name), **self._further.get(name, {})}
            self.processes[name] = ServiceProcess(command, environment, log, service.stop_grace_period)

    def _stop(self) -> None:
        """Ends services in parallel that no other depends on, then the rest."""
        last = {other for service in self.services.values() for other in service.depends_on}
        first = self.processes.keys() - last
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: self.processes[name].stop(), first))
        for name in reversed([name for name in self.processes if name in last]):
            self.processes[name].stop()

    def command(self, name: str) -> list[str]:
        """Returns the command of a service; nothing for Postgres, which runs already."""
        if name == "s3":
            return ["moto_server", "--host", LOCAL, "--port", str(self.ports["s3"])]
        return self.translation.command(self.services[name].command or [], name)

    def environment(self, name: str) -> dict[str, str]:
        """Returns the whole environment of a service's process."""
        machine = {key: os.environ[key] for key in OF_THE_MACHINE if key in os.environ}
        path = [str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
        return {
            **machine,
            "PATH": os.pathsep.join(path),
            "HOME": str(self.translation.paths["/opt/airflow"]),
            **self.translation.environment(self.services[name], name),
        }

    def wait_for(self, name: str, condition: Condition) -> None:
        """Waits until a service has started, is healthy, or has completed successfully.

        Raises:
            NotReady: it has ended otherwise, or takes too long.
        """
        started = time.monotonic()
        process = self.processes.get(name)
        reached, answer = self._has_come_to(name, condition)
        while not reached:
            code = process.code if process is not None else None
            if code is not None and process is not None:
                raise NotReady(f"{name} ended with {code}:\n{process.said()}")
            if time.monotonic() - started > READY_WITHIN_SECONDS:
                said = process.said() if process is not None else ""
                raise NotReady(f"{name} is not {condition} after {READY_WITHIN_SECONDS} s: {answer}\n{said}")
            time.sleep(0.5)
            reached, answer = self._has_come_to(name, condition)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started

    def _has_come_to(self, name: str, condition: Condition) -> tuple[bool, str]:
        if condition == "service_started":
            return True, ""
        if condition == "service_completed_successfully":
            return self.processes[name].code == 0, "still running"
        return self.healthy(name)

    def healthy(self, name: str) -> tuple[bool, str]:
        """Runs a service's health check; returns whether it succeeded, and its output."""
        check = self.services[name].healthcheck
        if check is None:
            return True, ""
        words = self.translation.command(check.command, name)
        if name == "s3":
            words = [word.replace("/healthz", "/moto-api/") for word in words]
        if name == "postgres":
            words = [self.database.name if word == "airflow" else word for word in words]
        try:
            asked = subprocess.run(
                words,
                env=self.environment(name),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=check.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False, f"no answer in {check.timeout} s"
        return asked.returncode == 0, asked.stdout

    def _write_stand_ins(self) -> None:
        """Writes the programs of Redis' image that are not on this machine, or not for this port."""
        port = self.ports["redis"]
        stand_ins = {
            "docker-entrypoint.sh": f'exec "$@" --port {port} --bind {LOCAL} --dir {self.folder / "redis"}',
            "redis-cli": f'exec {shutil.which("redis-cli")} -p {port} "$@"',
        }
        (self.folder / "bin").mkdir(exist_ok=True)
        for name, line in stand_ins.items():
            program = self.folder / "bin" / name
            program.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
            program.chmod(0o755)


def missing() -> str:
    """Returns what the stack needs and this machine lacks; empty if nothing."""
    import psycopg2

    lacks = [name for name in ("redis-server", "redis-cli", "pg_isready", "wget") if shutil.which(name) is None]
    if lacks:
        return f"{', '.join(lacks)} cannot be found"
    try:
        connection = psycopg2.connect(dbname="postgres")
    except psycopg2.Error as error:
        return f"Postgres does not answer (PGHOST, PGPORT, PGUSER): {str(error).strip()}"
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper OR (rolcreatedb AND rolcreaterole) FROM pg_roles WHERE rolname = current_user")
        allowed = cursor.fetchone()[0]
    connection.close()
    return "" if allowed else "this user of Postgres may not make databases and roles (PGUSER)"
