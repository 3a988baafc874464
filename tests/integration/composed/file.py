"""Reads docker-compose.yaml, strictly: an unknown key, value or name is an error.

The models are our own account of the part of the Compose Specification that the file uses. What Compose itself would do on
reading is done here: interpolation of variables, merged sections, profiles, the order of starting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class ComposeInvalid(Exception):
    """The file is not valid for Compose."""


def _seconds(text: Any) -> float:
    """Reads a duration: `90s`, `1m30s`, `2h`."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", str(text))
    if found is None or not text:
        raise ValueError(f"{text!r} is not a duration; expected one such as 30s or 1m30s")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 3600.0 * hours + 60.0 * minutes + seconds


def _pinned(image: str) -> str:
    """Requires a version after the image's name, so that later starts use the tested image."""
    name, _, tag = image.rpartition(":")
    if not name or not re.match(r"\d+\.\d+", tag):
        raise ValueError(f"{image!r} names no fixed version; expected NAME:1.2…")
    return image


def _local(port: str) -> str:
    if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port):
        raise ValueError(f"{port!r} is not bound to this host alone; expected 127.0.0.1:PORT:PORT")
    return port


Duration = Annotated[float, BeforeValidator(_seconds)]
Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]


class Part(BaseModel):
    """Accepts known keys only, and values as they are written."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Build(Part):
    """How an image is built."""

    context: str
    target: str


class Logging(Part):
    """Logging of a container's output."""

    driver: str
    options: dict[str, str]


class HealthCheck(Part):
    """When a service counts as healthy: times in seconds."""

    test: list[str] = Field(min_length=2)
    interval: Duration
    timeout: Duration
    retries: int = Field(gt=0)
    start_period: Duration = 0.0

    @property
    def command(self) -> list[str]:
        """The test as program and arguments."""
        kind, *words = self.test
        if kind == "CMD-SHELL" and len(words) == 1:
            return ["sh", "-c", words[0]]
        if kind == "CMD":
            return words
        raise ComposeInvalid(f"The health check {self.test} is neither CMD with words nor CMD-SHELL with one line.")


class Depends(Part):
    """The state another service must reach before this one starts."""

    condition: Condition


class Device(Part):
    """GPUs of the host that a service reserves: their number, or `all`."""

    driver: str
    count: str = Field(pattern=r"^([1-9]\d*|all)$")
    capabilities: list[str]


class Reservations(Part):
    """Resources reserved for a service."""

    devices: list[Device]


class Resources(Part):
    """Resources of a service."""

    reservations: Reservations


class Deploy(Part):
    """How a service is placed."""

    resources: Resources


class Service(Part):
    """One service."""

    image: Annotated[str, AfterValidator(_pinned)]
    restart: Literal["no", "unless-stopped"]
    security_opt: list[str]
    logging: Logging
    build: Build | None = None
    command: list[str] | None = None
    environment: dict[str, str] = {}
    volumes: list[str] = []
    ports: list[Annotated[str, AfterValidator(_local)]] = []
    networks: list[str] = ["default"]
    profiles: list[str] = []
    depends_on: dict[str, Depends] = {}
    healthcheck: HealthCheck | None = None
    stop_grace_period: Duration = 10.0
    deploy: Deploy | None = None


class Compose(Part):
    """The file."""

    name: str
    services: dict[str, Service]
    volumes: dict[str, None]
    networks: dict[str, None]

    @model_validator(mode="after")
    def _names_belong(self) -> Compose:
        for name, service in self.services.items():
            for other, depends in service.depends_on.items():
                if other not in self.services:
                    raise ValueError(f"{name} depends on {other}, and there is no such service")
                if depends.condition == "service_healthy" and self.services[other].healthcheck is None:
                    raise ValueError(f"{name} waits for {other} to be healthy, and {other} has no health check")
            for network in service.networks:
                if network not in self.networks:
                    raise ValueError(f"{name} is in the network {network}, and there is no such network")
            for mount in service.volumes:
                source = mount.split(":")[0]
                if not source.startswith("/") and source not in self.volumes:
                    raise ValueError(f"{name} mounts {source}, and there is no such volume")
        return self

    def started(self, profiles: set[str]) -> dict[str, Service]:
        """Returns the services that are started with these profiles, each after its dependencies.

        Raises:
            ComposeInvalid: one depends on a service that is not started, or on itself.
        """
        chosen = {name: s for name, s in self.services.items() if not s.profiles or profiles & set(s.profiles)}
        for name, service in chosen.items():
            if missing := service.depends_on.keys() - chosen.keys():
                raise ComposeInvalid(f"{name} depends on {', '.join(sorted(missing))}, which {profiles} do not start.")
        try:
            order = TopologicalSorter({name: s.depends_on.keys() for name, s in chosen.items()}).static_order()
            return {name: chosen[name] for name in order}
        except CycleError as error:
            raise ComposeInvalid(f"Services depend on each other in a circle: {error.args[1]}.") from error


def read_compose(path: Path, variables: Mapping[str, str]) -> Compose:
    """Reads the file with these variables in it.

    Args:
        path: of docker-compose.yaml.
        variables: of the `.env`.

    Raises:
        ComposeInvalid: a variable that must be set is empty.
        pydantic.ValidationError: anything else is not as Compose would have it.
    """
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    parts = {name: part for name, part in tree.items() if not name.startswith("x-")}
    return Compose.model_validate(_interpolated(parts, variables))


def read_env(text: str) -> dict[str, str]:
    """Returns the variables of a `.env`: one NAME=VALUE per line, `#` before a comment."""
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def variables_of(text: str) -> Iterator[tuple[str, bool]]:
    """Yields every variable that a text of the file uses, and whether it must be set."""
    for found in _VARIABLE.finditer(text):
        if found["name"]:
            yield found["name"], found["kind"] == ":?"


_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Z][A-Z0-9_]*)(?:(?P<kind>:[-?])(?P<word>[^}]*))?\})")


def _interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _interpolated(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_interpolated(item, variables) for item in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _replaced(found, variables), value)
    return value


def _replaced(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found["dollar"]:
        return "$"
    value = variables.get(found["name"], "")
    if value or found["kind"] is None:
        return value
    if found["kind"] == ":?":
        raise ComposeInvalid(f"{found['name']} is empty: {found['word']}.")
    return found["word"]
