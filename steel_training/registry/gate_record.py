"""The types that `gate.json` of a version must have to be shown and compared; fields may be missing. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from steel_training.storage.declared import Declared
from steel_training.storage.stored_reason import StoredReason

_Object = dict[str, Any]


class DeclaredEstimate(Declared):
    """A metric on the test split, as `evaluate` leaves it; its bound was called `lower` before 2026-11-25."""

    value: float | None = None
    bound: float | None = None
    lower: float | None = None


class DeclaredCounts(Declared):
    """Test patches at the operating threshold, as `evaluate` leaves them."""

    tp: int
    fn: int
    fp: int
    tn: int


class DeclaredSizes(Declared):
    """Patches of each class in a split, and its groups, as `resolve_dataset` leaves them."""

    clean: int
    defective: int
    groups: int


class _Threshold(Declared):
    value: float | None = None


class _Config(Declared):
    gate: _Object = Field(default_factory=dict)
    model: _Object = Field(default_factory=dict)
    data: _Object = Field(default_factory=dict)


class StoredGate(Declared):
    """`gate.json`, as far as it is read."""

    run_id: str | None = None
    judged_at: str | None = None
    metrics: dict[str, DeclaredEstimate | None] = Field(default_factory=dict)
    counts: DeclaredCounts | None = None
    parts: dict[str, DeclaredSizes] = Field(default_factory=dict)
    reasons: list[StoredReason] = Field(default_factory=list)
    threshold: _Threshold | None = None
    config: _Config = _Config()
    machine: _Object | None = None
    packages: _Object | None = None
    weights: _Object | None = None
    approval: _Object | None = None
