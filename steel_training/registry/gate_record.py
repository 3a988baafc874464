"""The types that `gate.json` of a version must have to be shown and compared; fields may be missing. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

_Object = dict[str, Any]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True)


class _Estimate(_Record):
    value: float | None = None
    bound: float | None = None
    lower: float | None = None


class _Counts(_Record):
    tp: int
    fn: int
    fp: int
    tn: int


class _Sizes(_Record):
    clean: int
    defective: int
    groups: int


class _Threshold(_Record):
    value: float | None = None


class _Reason(_Record):
    code: str
    message: str


class _Config(_Record):
    gate: _Object = {}
    model: _Object = {}
    data: _Object = {}


class _Gate(_Record):
    run_id: str | None = None
    judged_at: str | None = None
    metrics: dict[str, _Estimate | None] = {}
    counts: _Counts | None = None
    parts: dict[str, _Sizes] = {}
    reasons: list[_Reason] = []
    threshold: _Threshold | None = None
    config: _Config = _Config()
    machine: _Object | None = None
    packages: _Object | None = None
    weights: _Object | None = None
    approval: _Object | None = None


def type_error(known: object) -> str | None:
    """Return the first type error in the content of a `gate.json`; `None` where it can be shown."""
    try:
        _Gate.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'} is {first['input']!r:.80} ({first['msg']})"
    return None
