"""What a stage writes is what `stored_outputs` declares: a value that is not declared would be read without being checked."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import getitem
from typing import Any

import pytest

from steel_training.config import Config
from steel_training.data import drift
from steel_training.evaluation.calibration import Bin, Calibration
from steel_training.evaluation.comparison import AucDifference, Comparison
from steel_training.evaluation.corrected_labels import ByLabels, CorrectedLabels
from steel_training.evaluation.evaluate import Judgement, Tally
from steel_training.evaluation.label_difference import LabelDifference
from steel_training.evaluation.learning_curve import CurvePoint, LearningCurve
from steel_training.evaluation.metrics import Counts, Estimate
from steel_training.evaluation.review_band import Reviewed
from steel_training.evaluation.slices import Slice
from steel_training.evaluation.threshold import OperatingThreshold
from steel_training.labels.wrong_shares import WrongShare
from steel_training.leakage.probe import Probe
from steel_training.runs.outputs import Approval, AuditedLabels, CheckedBaseline, Decided, Ended, Trained
from steel_training.runs.resolved import ResolvedDataset
from steel_training.runs.result import Status
from steel_training.runs.stored_outputs import outputs_problem
from steel_training.training.model_trainer import Training
from steel_training.training.weights_source import LoadedWeights
from steel_training.validation.outcome import ExpectationOutcome, ValidationOutcome
from steel_training.verdict import Verdict

OLD = "20261101-old"
CONFIG = Config.model_validate({"data": {"prevalence": 0.02}})
COUNTS, ESTIMATE = Counts(90, 10, 20, 280), Estimate(0.9, 0.8)
TALLY, BY_LABELS = Tally(COUNTS, {"recall": ESTIMATE}), ByLabels(COUNTS, {"recall": 0.9})
PROBE = Probe("leak.overlap", False, 0.7, 0.5, "Found.", fix="steel-training split DATASET OUT").as_dict()
TRAINING = Training({"loss": [0.7, 0.4]}, 2, "epochs").as_dict()
COMPARED = Comparison({"recall": 0.8}, {"recall": ESTIMATE}, AucDifference(0.9, 0.8, 0.1, 0.05, 0.15, 0.95)).as_dict()

RESOLVED = ResolvedDataset(
    dataset="/data/strip",
    version="2026-11-30",
    passed_over={"2026-12-01": "empty"},
    fingerprint="f" * 64,
    config=CONFIG,
    code="c2c4347",
    patches=400,
    groups=40,
    parts={"test": {"clean": 300, "defective": 100, "groups": 8}},
    split_problem="a group is in two splits",
    logical_date="2026-12-01",
    previous={"run_id": "nightly", "verdict": "rejected", "decided_at": "2026-11-30T02:00:00+00:00"},
    champion=OLD,
    grey_range={"low": 5, "high": 4000},
    cut={},
    packages={"keras": "3.15.0"},
)
VALIDATED = ValidationOutcome(
    (ExpectationOutcome("data.size", "One size", "critical", False, "two", "one", 3, ("p1",), "Two sizes."),), "docs"
)
AUDITED = AuditedLabels(
    patches=400,
    suspects=9,
    suspects_by_split={"train": 9},
    contradicting_neighbours=4,
    contradicting_copies=2,
    auc=0.97,
    wrong_labels=[WrongShare(1, 100, 0.03, 0.01, 0.06)],
    learning_curve=LearningCurve(0.95, [CurvePoint(18, 360, 0.9, 50.5)], 70.5, 12.5, 130.5),
    seconds={"features": 9.5},
)
JUDGED = Judgement(
    threshold=OperatingThreshold(0.4, 0.96, 0.8, 0.92, 1.5, "chosen on validation"),
    review=Reviewed(0.2, 0.7, 100, 20, 280, 0.05, 1, 2, "both ends meet their target"),
    patches=TALLY,
    sources=TALLY,
    precision_on_line=ESTIMATE,
    calibration=Calibration(0.1, 0.02, (Bin(0.0, 0.5, 0.2, 0.3, 40),)),
    slices=[Slice("line", "A", 400, 100, True, ESTIMATE, ESTIMATE, ESTIMATE)],
    design_effect=1.6,
)
WRITTEN: Mapping[str, Mapping[str, Any]] = {
    "resolve_dataset": {**RESOLVED.to_dict(), "config": {}},  # its settings are checked by `Config`
    "validate_patches": {
        **VALIDATED.as_dict(),
        "drift": drift.Comparison(
            OLD, "", (drift.Drift("contrast", "all", 0.3, 0.1, drift.Reading.DRIFTED),)
        ).as_dict(),
        "probes": [PROBE],
    },
    "check_baseline": CheckedBaseline([PROBE], "docs", {"auc": 0.9}, TRAINING).to_dict(),
    "audit_labels": AUDITED.to_dict(),
    "train_head": Trained(LoadedWeights("steel", "in the package", False), TRAINING).to_dict(),
    "fine_tune": Trained(LoadedWeights("steel", "in the package", False), TRAINING, {"cores": 2}).to_dict(),
    "evaluate": {
        **JUDGED.as_dict(CONFIG),
        "baseline": COMPARED,
        "champion": {"version": OLD, **COMPARED},
        "corrected_labels": CorrectedLabels(4, 1, BY_LABELS, BY_LABELS).as_dict(),
        "labels_unlike_champion": LabelDifference(OLD, 280, 4, 8, 5).as_dict(),
    },
    "decide": Decided(True, True, ["ada"], True, OLD, {"recall": {"value": 0.9}}, 100, 10, 300, 20).to_dict(),
    "approve_release": Approval(True, "Ada", "", {"ada": "Ada"}, True).to_dict(),
    "publish_model": Ended(Verdict.PUBLISHED, "20261201-new", "20261201-new", OLD).to_dict(),
    "reject_model": Ended(Verdict.REJECTED, None, OLD, OLD, "More coils.").to_dict(),
}
NOT_READ_AGAIN = {
    "validate_patches": {f"expectations.0.{name}" for name in ("observed", "expected", "unexpected_count")},
    "evaluate": {f"threshold.{name}" for name in ("val_f2", "room", "margin")},
}


def places(values: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to each value of a JSON value."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from places(value, (*above, key))


@pytest.mark.parametrize("stage", WRITTEN)
def test_each_value_that_a_stage_writes_is_declared_unless_it_is_not_read_again(stage: str) -> None:
    written = json.loads(json.dumps(WRITTEN[stage]))
    assert outputs_problem(stage, Status.DONE, written) is None
    undeclared = set()
    for place in places(written):
        changed = copy.deepcopy(written)
        holder = reduce(getitem, place[:-1], changed)
        holder[place[-1]] = 5 if isinstance(holder[place[-1]], str | list | dict) else []
        if outputs_problem(stage, Status.DONE, changed) is None:
            undeclared.add(".".join(map(str, place)))
    assert undeclared == NOT_READ_AGAIN.get(stage, set())
