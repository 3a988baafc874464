"""Records of a registry as JSON holds them. All fields may be missing: earlier versions of the program wrote fewer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Required, TypedDict


class StoredEstimate(TypedDict, total=False):
    """A metric on the test split, and its bound, which was called `lower` before 2026-11-25."""

    value: float | None
    bound: float | None
    lower: float | None


class VerdictFacts(TypedDict, total=False):
    """What every verdict is recorded with.

    Attributes:
        version: None where none was published.
        dataset: URI of the dataset version.
        dataset_version: its date.
        fingerprint: SHA-256 of its files and labels.
        configuration: SHA-256 of the configuration.
        code: revision.
        promote: whether the run may move the champion.
        allowed: alarms of the baseline check that a person let pass: code and message.
        approval: who released the model.
        metrics: on the test split, by name.
        targets: of the gate, by name.
        evidence: what is compared with them, `point` or `bound`.
        report: its address.
    """

    version: str | None
    dataset: str
    dataset_version: str | None
    fingerprint: str
    configuration: str
    code: str
    promote: bool
    allowed: Sequence[Mapping[str, str]]
    approval: Mapping[str, str | bool | None] | None
    metrics: Mapping[str, StoredEstimate | None]
    targets: Mapping[str, float | None]
    evidence: str
    report: str


class Decision(VerdictFacts, total=False):
    """A verdict.

    Attributes:
        schema: of the record.
        run_id: whose verdict it is.
        verdict: `published`, `rejected` or `blocked`.
        decided_at: ISO 8601.
        reasons: code and message of each.
        replaced: versions that the same run had published before.
    """

    schema: int
    run_id: Required[str]
    verdict: Required[str]
    decided_at: Required[str]
    reasons: Sequence[Mapping[str, str]]
    replaced: Sequence[str]


class StoredCounts(TypedDict):
    """Test patches at the operating threshold."""

    tp: int
    fp: int
    tn: int
    fn: int


class StoredThreshold(TypedDict, total=False):
    """The operating threshold; how it was chosen stands beside it."""

    value: float | None


class GateRecord(VerdictFacts, total=False):
    """`gate.json`: where a version comes from, and what it reached.

    Attributes:
        schema: of the record.
        run_id: that made it.
        judged_at: ISO 8601.
        split_seed: of the splits.
        parts: number of clean and defective patches, and of groups, by split.
        test_part: hash of the test split (`reproduction.part_hash`).
        reasons: of the verdict: code and message of each.
        threshold: operating threshold.
        counts: on the test split.
        weights: that the backbone started from (`LoadedWeights`).
        config: of the run.
        packages: their versions.
        machine: that trained.
        reproduce: command that makes the version again.
        parent_champion: version that it was judged against.
        grey_range: with which images of more than 8 bits were ingested (`low`, `high`).
    """

    schema: int
    run_id: str
    judged_at: str
    split_seed: int
    parts: Mapping[str, Mapping[str, int]]
    test_part: str
    reasons: Sequence[Mapping[str, str]]
    threshold: StoredThreshold | None
    counts: StoredCounts | None
    weights: Mapping[str, str | bool] | None
    config: Mapping[str, Mapping[str, Any]]
    packages: Mapping[str, str] | None
    machine: Mapping[str, str | int] | None
    reproduce: str | None
    parent_champion: str | None
    grey_range: Mapping[str, int] | None
