"""A value of another type in a stage's outputs, or in a file beside them, is named with its record by whoever reads it, and is never a traceback."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.data.images import as_png
from steel_training.errors import SteelTrainingError
from steel_training.evaluation.corrected_labels import ByLabels, CorrectedLabels
from steel_training.evaluation.curves import curves
from steel_training.evaluation.label_difference import LabelDifference
from steel_training.evaluation.learning_curve import CurvePoint, LearningCurve
from steel_training.evaluation.metrics import Counts
from steel_training.evaluation.review_band import Reviewed
from steel_training.labels.suspect_images import Suspect
from steel_training.labels.wrong_shares import WrongShare
from steel_training.leakage.evidence_images import Shown
from steel_training.leakage.patch_pairs import Side
from steel_training.report.from_run import write_report
from steel_training.report.summary import conclude
from steel_training.runs.lineage import facts, reproduce, write_lineage
from steel_training.runs.outputs import Approval, AuditedLabels, CheckedBaseline, Decided, Ended, Evaluated, Trained
from steel_training.runs.result import STAGES
from steel_training.runs.run import ResultUnreadable, Run
from steel_training.storage import open_storage
from steel_training.storage.declared import FileUnreadable
from steel_training.training.explanations import Explanation
from steel_training.verdict import Verdict

KEPT = Path(__file__).parents[2] / "stores" / "schema-1"
ODD = (None, True, 5, 0.5, "text", [], [5], {}, {"a": []})

Place = tuple[str, tuple[str | int, ...]]


def later_outputs(evaluated: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What stages have left since that run was made."""
    counts = Counts(**evaluated["counts"])
    by_labels = ByLabels(counts, {"recall": 0.9, "f2": 0.8, "precision": 0.7, "auc": 0.95})
    curve = LearningCurve(0.95, [CurvePoint(n, 20 * n, 0.9, 900.0 / n) for n in (4, 9, 14, 18)], 70.0, 12.0, 130.0)
    wrong = [WrongShare(label, 100, 0.03, 0.01, 0.06) for label in (0, 1)]
    prevalence = {"declared": 0.02, "precision": {"value": 0.26, "bound": 0.19}}
    champion = {**evaluated["baseline"], "version": "20261101-old"}
    drifted = [
        {"name": "contrast", "part": "all", "psi": 0.02, "chance": None, "reading": "stable"},
        {"name": "brightness", "part": "test", "psi": 0.31, "chance": 0.13, "reading": "drifted"},
    ]
    return {
        "resolve_dataset": {
            "grey_range": {"low": 5, "high": 4000},
            "passed_over": {"2026-11-01": "empty"},
            "champion": "20261101-old",
        },
        "validate_patches": {"drift": {"champion": "20261101-old", "note": "", "properties": drifted}},
        "audit_labels": AuditedLabels(
            "", 622, 9, {"test": 3, "train": 6}, 4, 2, 0.97, wrong, curve, {"features": 9.0}
        ).to_dict(),
        "evaluate": {
            "prevalence": prevalence,
            "champion": champion,
            "review": asdict(Reviewed(0.2, 0.7, 100, 20, 33, 0.13, 1, 2, "note")),
            "worst_slice": evaluated["slices"][0],
            "corrected_labels": CorrectedLabels(4, 1, by_labels, by_labels).as_dict(),
            "labels_unlike_champion": LabelDifference("20261101-old", 280, 4, 8, 5).as_dict(),
        },
        "verify_bundle": {"patch": [24, 24]},
        "approve_release": Approval(True, "Ada", None, {"ada": "Ada"}).to_dict(),
        "reject_model": Ended(Verdict.REJECTED, None, None, None, "More coils.").to_dict(),
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of an earlier version of this program, with all that a run of this one leaves in its results."""
    store = tmp_path_factory.mktemp("typed") / "store"
    shutil.copytree(KEPT, store)
    top = store / "runs" / "one"
    template = json.loads((top / "evaluate" / "result.json").read_text(encoding="utf-8"))
    for stage, outputs in later_outputs(template["outputs"]).items():
        path = top / stage / "result.json"
        path.parent.mkdir(exist_ok=True)
        whole = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {**template, "stage": stage}
        kept = whole["outputs"] if path.is_file() else {}
        path.write_text(json.dumps({**whole, "outputs": {**kept, **outputs}}), encoding="utf-8")
    scores = pd.read_parquet(top / "evaluate" / "scores.parquet")
    of_split = [
        (rows["label"].to_numpy(int), rows["score"].to_numpy(float))
        for part in ("val", "test")
        for rows in [scores[scores["part"] == part]]
    ]
    (top / "evaluate" / "curves.json").write_text(json.dumps(asdict(curves(*of_split))), encoding="utf-8")
    picture = as_png(np.full((24, 24), 128, np.uint8))
    sides = [Side(row, f"p{row}", part, "clean", f"g{row}") for row, part in enumerate(("train", "test"))]
    frame = (0.0, 0.0, 12.0, 24.0)
    beside: dict[str, list[Any]] = {
        "evaluate/attention": [Explanation("p1", "missed", 1, 0.1, 0.2, "scratch", "s1", "a.png", "b.png")],
        "check_baseline/evidence": [
            Shown("leak.overlap", "shows", "part", (sides[0], sides[1]), ("a.png", "b.png"), (frame, frame))
        ],
        "audit_labels/suspects": [
            Suspect("p1", 0, 1, 0.1, 0.9, "g1", "train", 0.8, False, "a.png", "b.png"),
        ],
    }
    for folder, index in beside.items():
        (top / folder).mkdir()
        (top / folder / "index.json").write_text(json.dumps([asdict(each) for each in index]), encoding="utf-8")
        for name in ("a.png", "b.png"):
            (top / folder / name).write_bytes(picture)
    return store


def places(values: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to each value of a JSON value; of a list to the first and the last."""
    found = values.items() if isinstance(values, dict) else list(enumerate(values))[:: max(1, len(values) - 1)]
    for key, value in found:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from places(value, (*above, key))


def is_of_other_type(value: Any, one: Any) -> bool:
    return type(value) is not type(one) and not (isinstance(one, float) and type(value) is int)


READERS: dict[str, Callable[[Run, Path], object]] = {
    "report of a published run": lambda run, folder: write_report(run, Verdict.PUBLISHED, (), run.version),
    "report of a rejected run": lambda run, folder: write_report(run, Verdict.REJECTED, (), None),
    "report of a blocked run": lambda run, folder: write_report(run, Verdict.BLOCKED, (), None),
    "summary of a published run": lambda run, folder: conclude(run, run.result("publish_model")).as_text(),
    "summary of a rejected run": lambda run, folder: conclude(run, run.result("reject_model")).as_text(),
    "last line of a run": lambda run, folder: json.dumps(conclude(run, run.result("publish_model")).as_dict()),
    "command that repeats the run": lambda run, folder: reproduce(run),
    "record of a verdict": lambda run, folder: facts(run, run.version),
    "gate.json and model card": lambda run, folder: write_lineage(run, folder, run.result("decide")),
    "stages": lambda run, folder: [
        run.outputs("check_baseline", CheckedBaseline.from_dict),
        run.outputs("train_head", Trained.from_dict),
        run.outputs("evaluate", Evaluated.from_dict),
        run.outputs("decide", Decided.from_dict),
        run.outputs("approve_release", Approval.from_dict),
        run.outputs("audit_labels", AuditedLabels.from_dict),
    ],
    "verdict": lambda run, folder: [result.verdict for stage in STAGES if (result := run.read_result(stage))],
}


def read_by_all(store: Path, folder: Path) -> list[SteelTrainingError]:
    """Reads a run as everything reads one, and returns the errors; any other exception is raised."""
    errors: list[SteelTrainingError] = []
    for read in READERS.values():
        try:
            read(Run(open_storage(store), "one"), folder)
        except SteelTrainingError as error:
            errors.append(error)
    return errors


def test_each_reader_reads_the_run_as_it_is(store: Path, tmp_path: Path) -> None:
    for name, read in READERS.items():
        assert read(Run(open_storage(store), "one"), tmp_path) != "", name


@settings(max_examples=60)
@given(choice=st.data())
def test_value_of_another_type_is_named_by_each_reader(
    store: Path, tmp_path_factory: pytest.TempPathFactory, choice: st.DataObject
) -> None:
    stage = choice.draw(
        st.sampled_from(sorted(path.name for path in (store / "runs" / "one").iterdir() if path.is_dir()))
    )
    record = store / "runs" / "one" / stage / "result.json"
    whole = json.loads(record.read_text(encoding="utf-8"))
    *above, last = choice.draw(st.sampled_from(list(places(whole["outputs"]))))
    changed = copy.deepcopy(whole)
    holder = reduce(getitem, above, changed["outputs"])
    holder[last] = choice.draw(st.sampled_from([odd for odd in ODD if is_of_other_type(odd, holder[last])]))
    before = record.read_bytes()
    record.write_text(json.dumps(changed), encoding="utf-8")
    try:
        for error in read_by_all(store, tmp_path_factory.getbasetemp()):
            assert stage in str(error)
            assert str(record) in str(error)
    finally:
        record.write_bytes(before)


BESIDE = (
    "evaluate/curves.json",
    "evaluate/attention/index.json",
    "check_baseline/evidence/index.json",
    "audit_labels/suspects/index.json",
)


@settings(max_examples=40)
@given(choice=st.data())
def test_value_of_another_type_in_a_file_beside_is_named_by_the_report(
    store: Path, tmp_path_factory: pytest.TempPathFactory, choice: st.DataObject
) -> None:
    file = store / "runs" / "one" / choice.draw(st.sampled_from(BESIDE))
    before = file.read_bytes()
    changed = json.loads(before)
    *above, last = choice.draw(st.sampled_from(list(places(changed))))
    holder = reduce(getitem, above, changed)
    holder[last] = choice.draw(st.sampled_from([odd for odd in ODD if is_of_other_type(odd, holder[last])]))
    file.write_text(json.dumps(changed), encoding="utf-8")
    try:
        for error in read_by_all(store, tmp_path_factory.getbasetemp()):
            assert str(file) in str(error)
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[{", "Invalid JSON"),
        (b"[]", r"it is \[\]; expected an object"),
        (b'{"pr": {"precision": []}}', r"pr\.recall is missing"),
        (b'{"pr": {"precision": [0.5], "recall": ["all"]}}', r"pr\.recall\[0\] is 'all'; expected a number"),
    ],
)
def test_file_that_is_not_what_its_stage_wrote_is_named(store: Path, content: bytes, told: str) -> None:
    file = store / "runs" / "one" / "evaluate" / "curves.json"
    before = file.read_bytes()
    file.write_bytes(content)
    try:
        with pytest.raises(FileUnreadable, match=rf"{file} cannot be read \({told}.*another --run-id"):
            write_report(Run(open_storage(store), "one"), None, (), None)
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("stage", "above", "value", "told"),
    [
        ("evaluate", ("metrics", "auc", "value"), "high", r"metrics\.auc\.value is 'high'; expected a number"),
        ("evaluate", ("slices", 0, "recall"), [], r"slices\[0\]\.recall is \[\]; expected an object"),
        ("evaluate", ("counts",), None, r"counts is None; expected an object"),
        ("evaluate", ("threshold", "note"), 5, r"threshold\.note is 5; expected text"),
        ("decide", ("approvers",), "ada", r"approvers is 'ada'; expected a list"),
        ("decide", ("publish",), "yes", r"publish is 'yes'; expected true or false"),
        ("verify_bundle", ("lite", "float", "bytes"), None, r"lite\.float\.bytes is None; expected a whole number"),
        ("publish_model", ("verdict",), 5, r"verdict is 5; expected 'published', 'rejected', 'blocked' or 'unchanged'"),
    ],
)
def test_message_holds_record_field_value_and_what_was_expected(
    store: Path, stage: str, above: tuple[str | int, ...], value: object, told: str
) -> None:
    record = store / "runs" / "one" / stage / "result.json"
    before = record.read_bytes()
    changed = json.loads(before)
    reduce(getitem, above[:-1], changed["outputs"])[above[-1]] = value
    record.write_text(json.dumps(changed), encoding="utf-8")
    try:
        with pytest.raises(
            ResultUnreadable, match=rf"The result of {stage} \({record}\) cannot be read \({told}\).*another --run-id"
        ):
            Run(open_storage(store), "one").result(stage)
    finally:
        record.write_bytes(before)
