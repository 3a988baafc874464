"""`docs/settings.md`: every key of the configuration and every variable of the environment, as the code declares them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from steel_training.config import Config, settings
from steel_training.environment import variables

_HEAD = """\
# Settings

Made from the code by `steel-training settings --markdown > docs/settings.md`; a test holds it to the code.

A run has a configuration, a machine has an environment. `LOCKED` marks what the modelling design sets.

## Configuration of a run

Keys of the YAML file (`--config FILE`), of `--set KEY=VALUE`, which wins over the file, and of the form in Airflow. An unknown key or
a value out of its range ends with exit code 2 before any data are read.
"""

_ENVIRONMENT = """\
## Environment of a machine

An empty variable counts as not set. What is wrong with a value is told by whatever needs it. Variables that only
`docker-compose.yaml` reads are described in `.env.example`.

| variable | default | meaning | read on |
|---|---|---|---|
"""


def settings_page() -> str:
    """Returns the page, in Markdown."""
    parts = [_HEAD]
    for name, keys in groupby(settings(), key=lambda setting: setting[0].partition(".")[0]):
        section: Any = Config.model_fields[name].annotation
        parts.append(f"### {name}\n\n{section.__doc__}\n\n| key | value | default | meaning |\n|---|---|---|---|\n")
        rows = (
            f"| `{key}` | {_kind(schema)} | {_default(schema)} | {_cell(schema['description'])} |\n"
            for key, schema in keys
        )
        parts[-1] += "".join(rows)
    rows = (
        f"| `{each.name}` | {_cell(each.default)} | {_cell(each.description)} | {each.on} |\n" for each in variables()
    )
    return "\n".join([*parts, _ENVIRONMENT + "".join(rows)])


def _kind(schema: Mapping[str, Any]) -> str:
    """Returns type and range of a setting in words."""
    kinds: list[Mapping[str, Any]] = schema.get("anyOf", [schema])
    return " or ".join(_one_kind(kind) for kind in kinds)


def _one_kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    name = {"integer": "whole number", "boolean": "true, false", "string": "text", "array": "list of texts"}
    return " ".join([name.get(schema["type"], schema["type"]), *_limits(schema)])


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    # Where both a limit and a stricter one are given, the stricter one says it all.
    if "exclusiveMinimum" in schema:
        yield f"above {schema['exclusiveMinimum']:g}"
    elif "minimum" in schema:
        yield f"from {schema['minimum']:,}" if schema["type"] == "integer" else f"from {schema['minimum']:g}"
    if "exclusiveMaximum" in schema:
        yield f"and below {schema['exclusiveMaximum']:g}"
    elif "maximum" in schema:
        yield f"to {schema['maximum']:,}" if schema["type"] == "integer" else f"to {schema['maximum']:g}"


def _default(schema: Mapping[str, Any]) -> str:
    value = schema["default"]
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
