"""Translates hosts, ports and paths of the containers to those of one machine.

Containers have each a name, a network and a file system of their own; processes of one machine share all three. Only that
difference is made up for. What a service is told to do stays what docker-compose.yaml says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from own_ports import own_port

from composed.database import Database
from composed.file import Service

# Ports of the services in their containers, where they are not published.
LISTENS = {"api-server": 8080, "postgres": 5432, "redis": 6379, "s3": 8333, "tensorboard": 6006}
LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Translation:
    """Names of the containers, translated.

    Args:
        root: the checkout, which is /opt/steel-training in the images.
        folder: of the stack: the volumes, /opt/airflow and /tmp.
        database: that stands for the one of the service postgres.
        ports: of this machine, by service.
    """

    root: Path
    folder: Path
    database: Database
    ports: Mapping[str, int]

    @property
    def paths(self) -> dict[str, Path]:
        """Local folders by folders of the containers."""
        return {
            "/opt/steel-training": self.root,
            "/opt/airflow": self.folder / "airflow",
            "/srv/steel-training": self.folder / "folder",
            "/var/cache/steel-training": self.folder / "cache",
            "/var/lib/steel-training": self.folder / "lib",
            "/tmp": self.folder / "tmp",
        }

    def text(self, text: str, service: str) -> str:
        """Returns a text of the file, as one service reads it, with the addresses of this machine."""
        account = f"//{self.database.name}:\\1@{self.database.host}:{self.database.port}/{self.database.name}"
        text = re.sub(r"//airflow:([^@/]+)@postgres:5432/airflow", account, text)
        for name, port in LISTENS.items():
            text = re.sub(rf"\b{name}:{port}\b", f"{LOCAL}:{self.ports[name]}", text)
        if service in LISTENS:
            own = rf"\b(localhost|127\.0\.0\.1):{LISTENS[service]}\b"
            text = re.sub(own, rf"\1:{self.ports[service]}", text)
        # In one pass: a translated path may look like a path of a container.
        return re.sub(rf"(?<![\w./])({'|'.join(self.paths)})\b", lambda found: str(self.paths[found[1]]), text)

    def command(self, words: list[str], service: str) -> list[str]:
        """Returns a command; `0.0.0.0` is this machine alone, and the port after `--port` is the one given here."""
        words = [LOCAL if word == "0.0.0.0" else self.text(word, service) for word in words]
        if service in LISTENS:
            words = [str(self.ports[service]) if word == str(LISTENS[service]) else word for word in words]
        if words[:3] == ["airflow", "celery", "worker"]:
            # Celery names a worker after its host.
            words += ["--celery-hostname", service]
        return words

    def environment(self, service: Service, name: str) -> dict[str, str]:
        """Returns a service's variables, and those that separate processes on one machine."""
        told = {key: self.text(value, name) for key, value in service.environment.items()}
        return {
            **told,
            "HOSTNAME": name,
            "AIRFLOW_HOME": str(self.paths["/opt/airflow"]),
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "composed.hostname.of_service",
            "AIRFLOW__API__HOST": LOCAL,
            "AIRFLOW__API__PORT": str(self.ports["api-server"]),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(own_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(own_port()),
            "PYTHONPATH": f"{self.root}:{Path(__file__).parents[1]}",
            "PYTHONUNBUFFERED": "1",
            "PGHOST": self.database.host,
            "PGPORT": self.database.port,
        }
