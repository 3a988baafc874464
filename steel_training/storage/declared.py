"""The types that a record of a store must have to be read, declared once and checked where the record is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from steel_training.errors import SteelTrainingError
from steel_training.storage.recorded import ADVICE

Read = TypeVar("Read")

_NAMED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "dict_type": "an object",
    "model_type": "an object",
    "list_type": "a list",
}


class Declared(BaseModel):
    """A JSON object and the types of its fields: none is converted, and null is one only where it is declared. Further fields are ignored."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, defer_build=True)  # most commands read few of them


def type_problem(kind: type[Declared], values: object, *, may_lack: bool = False) -> str | None:
    """Return the first value of another type than declared: where it stands, what it is, and what was expected; `None` where there is none.

    Args:
        kind: what is declared.
        values: read from JSON.
        may_lack: whether any field may be missing; otherwise only one with a default, which is not read.

    Example:
        >>> class Estimate(Declared):
        ...     value: float
        >>> type_problem(Estimate, {"value": "high"})
        "value is 'high'; expected a number"
    """
    try:
        kind.model_validate(values)
    except ValidationError as error:
        problems = (each for each in error.errors(include_url=False) if not (may_lack and each["type"] == "missing"))
        return next((_sentence(each, values) for each in problems), None)
    return None


class FileUnreadable(SteelTrainingError):
    """A JSON file that a stage wrote beside its result cannot be read."""


def read_declared(path: Path, kind: type[Read]) -> Read:
    """Read a JSON file as a dataclass, or a list of them: its fields are the keys, and none is converted.

    Raises:
        FileUnreadable: a value is missing or of another type than the field's, or the file is not JSON.
    """
    content = path.read_bytes()
    try:
        return TypeAdapter(kind).validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        broken = first["type"] == "json_invalid"
        problem = first["msg"] if broken else _sentence(first, json.loads(content))
        raise FileUnreadable(f"{path} cannot be read ({problem}). {ADVICE}") from error


def _sentence(found: ErrorDetails, values: object) -> str:
    path = _path(found["loc"], values)
    if found["type"] == "missing":
        name = str(found["loc"][-1])
        return f"{path}.{name} is missing" if path else f"{name} is missing"
    expected = _NAMED.get(found["type"], found["msg"].removeprefix("Input should be "))
    return f"{path or 'it'} is {found['input']!r:.80}; expected {expected}"


def _path(places: tuple[int | str, ...], values: Any) -> str:
    """Return the way to a value, such as `slices[1].recall`; pydantic also names which of several declared types it tried."""
    path = ""
    for place in places:
        if isinstance(values, Mapping) and place in values:
            path = f"{path}.{place}" if path else str(place)
        elif isinstance(values, list) and isinstance(place, int):
            path = f"{path}[{place}]"
        else:
            continue
        values = values[place]
    return path
