"""The outputs of every stage as `result.json` holds them: what each value must be, for all who read it.

A value that is read again, by a later stage, the report or a page, is declared here. What is missing is named when it is read (`ValueMissing`):
earlier versions of the program wrote fewer. The dataclasses that stages write are not the declarations: most of them need NumPy or pandas, which the
machines that show Airflow's pages do not have, and null stands for a number that is not finite. `tests/unit/runs/test_written_outputs.py`
compares both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from steel_training.registry.gate_record import DeclaredCounts, DeclaredEstimate, DeclaredSizes
from steel_training.registry.record import StoredDecision
from steel_training.runs.result import Status
from steel_training.storage.declared import Declared, type_problem

_Verdict = Literal["published", "rejected", "blocked", "unchanged"]
_Counted = dict[str, int]
_Measured = dict[str, float | None]


class _Outputs(Declared):
    """Of a stage that does not end the run, or ends it by its status."""

    verdict: _Verdict | None


class _Ended(_Outputs):
    verdict: _Verdict
    version: str | None
    champion: str | None
    previous_champion: str | None
    advice: str


class _ResolvedDataset(_Outputs):
    dataset: str
    version: str | None
    passed_over: dict[str, str]
    fingerprint: str
    config: dict[str, dict[str, Any]]
    code: str
    patches: int
    groups: int
    parts: dict[str, DeclaredSizes]
    split_problem: str | None
    logical_date: str | None
    previous: StoredDecision | None
    champion: str | None
    grey_range: _Counted | None
    cut: dict[str, Any] | None
    packages: dict[str, str]


class _ProfiledPatches(_Outputs):
    patches: int
    undecodable: int


class _Expectation(Declared):
    code: str
    title: str
    severity: str
    success: bool | None
    message: str
    examples: list[str]


class _Property(Declared):
    name: str
    part: str
    psi: float
    chance: float | None
    reading: Literal["stable", "shifted", "drifted"]


class _Drift(Declared):
    champion: str | None
    note: str
    properties: list[_Property]


class _Probe(Declared):
    code: str
    passed: bool
    statistic: float | None
    threshold: float | None
    message: str
    evidence: dict[str, Any]
    decisive: bool
    judged: bool
    fix: str
    allowed: bool


class _ValidatedPatches(_Outputs):
    success: bool
    expectations: list[_Expectation]
    data_docs: str | None
    drift: _Drift | None
    probes: list[_Probe]


class _Trained(_Outputs):
    history: dict[str, list[float]]
    best_epoch: int
    epochs: int
    stopped: str


class _CheckedBaseline(_Trained):
    probes: list[_Probe]
    data_docs: str | None
    metrics: _Measured


class _Weights(Declared):
    source: str
    detail: str
    random: bool


class _TrainedModel(_Trained):
    weights: _Weights
    machine: dict[str, str | int] | None


class _WrongShare(Declared):
    label: Literal[0, 1]
    patches: int
    share: float
    low: float
    high: float


class _CurvePoint(Declared):
    groups: int
    patches: int
    auc: float | None
    false_alarms_per_1000: float


class _LearningCurve(Declared):
    recall: float
    points: list[_CurvePoint]
    saved: float
    low: float
    high: float


class _AuditedLabels(_Outputs):
    problem: str
    patches: int
    suspects: int
    suspects_by_split: _Counted
    contradicting_neighbours: int
    contradicting_copies: int
    auc: float | None
    wrong_labels: list[_WrongShare]
    learning_curve: _LearningCurve | None
    seconds: dict[str, float]


class _Threshold(Declared):
    value: float
    val_recall: float | None
    val_precision: float | None
    note: str


class _Slice(Declared):
    column: str
    value: str
    patches: int
    defects: int
    supported: bool
    recall: DeclaredEstimate
    precision: DeclaredEstimate
    false_alarms_per_1000: DeclaredEstimate


class _AucDifference(Declared):
    ours: float | None
    theirs: float | None
    value: float | None
    low: float | None
    high: float | None
    confidence: float


class _Baseline(Declared):
    """The metrics of the model that was compared with stand beside the differences."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]

    difference: dict[str, DeclaredEstimate]
    on_validation: _AucDifference | None


class _Champion(_Baseline):
    version: str


class _Prevalence(Declared):
    declared: float
    precision: DeclaredEstimate


class _Bin(Declared):
    low: float
    high: float
    predicted: float | None
    observed: float | None
    patches: int


class _Calibration(Declared):
    shift: float
    ece: float | None
    bins: list[_Bin]


class _Sources(Declared):
    sources: int
    defective: int
    counts: DeclaredCounts
    metrics: dict[str, DeclaredEstimate]


class _Review(Declared):
    low: float
    high: float
    passed: int
    reviewed: int
    rejected: int
    share: float
    missed_below: int
    false_above: int
    note: str | None


class _ByLabels(Declared):
    counts: DeclaredCounts
    metrics: _Measured


class _CorrectedLabels(Declared):
    to_defective: int
    to_clean: int
    before: _ByLabels | None
    after: _ByLabels | None
    problem: str


class _LabelDifference(Declared):
    champion: str
    common: int
    to_defective: int
    to_clean: int
    in_test: int
    problem: str


class _Evaluated(_Outputs):
    metrics: dict[str, DeclaredEstimate]
    targets: _Measured
    evidence: str
    counts: DeclaredCounts
    threshold: _Threshold
    slices: list[_Slice]
    worst_slice: _Slice | None
    design_effect: float
    baseline: _Baseline | None
    champion: _Champion | None
    prevalence: _Prevalence | None
    calibration: _Calibration | None
    sources: _Sources | None
    review: _Review | None
    corrected_labels: _CorrectedLabels | None
    labels_unlike_champion: _LabelDifference | None
    patches: int
    defects: int
    groups: int
    version: str


class _RefusedModel(_Ended):
    """Of `evaluate`, where the model was not judged."""

    metrics: dict[str, DeclaredEstimate]
    targets: _Measured


class _Latency(Declared):
    p50: float = 0.0
    p95: float = 0.0


class _LeftOut(Declared):
    included: Literal[False] = False
    bytes: int | None = None
    quantisation: str | None = None
    max_difference: float | None = None
    labels_differ: int | None = None
    recall_drop: float | None = None
    latency_ms: _Latency | None = None
    reason: str | None = None


class _Included(Declared):
    included: Literal[True] = True
    bytes: int = 0
    quantisation: str | None = None
    max_difference: float | None = None
    labels_differ: int | None = None
    recall_drop: float = 0.0
    latency_ms: _Latency = _Latency()
    reason: str | None = None


class _VerifiedBundle(_Outputs):
    golden: int
    max_difference: float
    tolerance: float
    labels_differ: int
    corrupt_image: str
    odd_size_image: str
    patch: Annotated[list[int], Field(min_length=2, max_length=2)] | None
    latency_ms: _Latency
    throughput_per_s: float
    memory_mb: float
    lite: dict[str, _Included | _LeftOut]


class _Decided(_Outputs):
    publish: bool
    require_approval: bool
    approvers: list[str]
    four_eyes: bool
    champion: str | None
    figures: dict[str, _Measured]
    defects: int
    missed: int
    clean: int
    false_alarms: int


class _Approval(_Outputs):
    approved: bool
    by: str
    reason: str | None
    released_by: dict[str, str]
    waiting: bool


_OF_STAGE: Mapping[str, type[_Outputs]] = {
    "resolve_dataset": _ResolvedDataset,
    "profile_patches": _ProfiledPatches,
    "validate_patches": _ValidatedPatches,
    "check_baseline": _CheckedBaseline,
    "audit_labels": _AuditedLabels,
    "train_head": _TrainedModel,
    "fine_tune": _TrainedModel,
    "evaluate": _Evaluated,
    "verify_bundle": _VerifiedBundle,
    "decide": _Decided,
    "approve_release": _Approval,
    "publish_model": _Ended,
    "reject_model": _Ended,
}


def outputs_problem(stage: str, status: Status, outputs: Mapping[str, Any]) -> str | None:
    """Return the first value of a stage's outputs that is of another type than its readers expect; `None` where there is none."""
    kind = _RefusedModel if status is Status.REFUSED else _OF_STAGE.get(stage)
    return type_problem(kind, outputs, may_lack=True) if kind is not None else None
