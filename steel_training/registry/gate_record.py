"""The types that `gate.json` of a version must have to be shown and compared; fields may be missing. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from steel_training.storage.declared import Declared

_Object = dict[str, Any]


class _Estimate(Declared):
    value: float | None = None
    bound: float | None = None
    lower: float | None = None


class _Counts(Declared):
    tp: int
    fn: int
    fp: int
    tn: int


class _Sizes(Declared):
    clean: int
    defective: int
    groups: int


class _Threshold(Declared):
    value: float | None = None


class _Reason(Declared):
    code: str
    message: str


class _Config(Declared):
    gate: _Object = Field(default_factory=dict)
    model: _Object = Field(default_factory=dict)
    data: _Object = Field(default_factory=dict)


class StoredGate(Declared):
    """`gate.json`, as far as it is read."""

    run_id: str | None = None
    judged_at: str | None = None
    metrics: dict[str, _Estimate | None] = Field(default_factory=dict)
    counts: _Counts | None = None
    parts: dict[str, _Sizes] = Field(default_factory=dict)
    reasons: list[_Reason] = Field(default_factory=list)
    threshold: _Threshold | None = None
    config: _Config = _Config()
    machine: _Object | None = None
    packages: _Object | None = None
    weights: _Object | None = None
    approval: _Object | None = None
