"""What would help a rejected model: each remedy with its number, the largest first, and no promise that chance explains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from steel_training.evaluation.learning_curve import CurvePoint, LearningCurve
from steel_training.report.record import RunRecord
from steel_training.report.remedies import Remedy, advice_for, remedies
from steel_training.report.remedy_sections import what_would_help
from steel_training.runs.result import StageResult, Status
from steel_training.verdict import Verdict

# Ten defects, of which two are missed; twenty clean patches, of which four alarm. All others are decided rightly.
ROWS = [
    *((f"d{n}", 1, 0.9) for n in range(8)), ("d8", 1, 0.2), ("d9", 1, 0.1),
    *((f"c{n}", 0, 0.8) for n in range(4)), *((f"c{n}", 0, 0.05) for n in range(4, 20)),
]  # fmt: skip
SLICE = {"column": "line", "value": "B", "defects": 4, "recall": {"value": 0.5}}
CURVE = LearningCurve(
    0.95,
    [CurvePoint(g, 10 * g, 0.9, a) for g, a in ((5, 500.0), (10, 400.0), (15, 330.0), (20, 300.0))],
    saved=100.0,
    low=20.0,
    high=180.0,
)


@pytest.fixture
def scores() -> pd.DataFrame:
    tested = pd.DataFrame(ROWS, columns=["patch_id", "label", "score"]).assign(part="test")
    other = tested.assign(part="val", patch_id="v" + tested["patch_id"], label=1 - tested["label"])
    return pd.concat([other, tested], ignore_index=True)


@pytest.fixture
def evaluated() -> dict[str, Any]:
    counts = {"tp": 8, "fn": 2, "fp": 4, "tn": 16}
    return {
        "counts": counts, "threshold": {"value": 0.5}, "worst_slice": SLICE, "targets": {"recall": 0.95, "precision": None},
    }  # fmt: skip


def named(found: list[Remedy]) -> dict[str, Remedy]:
    return {each.title: each for each in found}


def test_doubtful_labels_count_where_the_model_is_called_wrong(evaluated: dict[str, Any], scores: pd.DataFrame) -> None:
    # c0 to c2 alarm and d9 is missed; d0 and c9 are decided as labelled, and vd0 is of another split.
    found = named(remedies(evaluated, scores, {"c0", "c1", "c2", "d9", "d0", "c9", "vd0"}, None))
    read_again = found["Read doubtful labels again"]
    assert read_again.mistakes == 4
    assert "3 of 4 false alarms and 1 of 2 missed defects" in read_again.text
    # 11 of 12 defects are then found, among 12 alarms.
    assert "recall is 0.917 instead of 0.800, and precision 0.917 instead of 0.667" in read_again.text


def test_doubtful_labels_of_validation_move_the_threshold(evaluated: dict[str, Any], scores: pd.DataFrame) -> None:
    evaluated["threshold"]["value"] = 0.01  # all alarm: twenty false alarms
    evaluated["counts"] = {"tp": 10, "fn": 0, "fp": 20, "tn": 0}
    found = named(remedies(evaluated, scores, {"vd0", "c0"}, None, undoubted=0.5))["Read doubtful labels again"]
    assert (
        "threshold would be 0.500 instead of 0.010: with the labels as they are, 2 missed defects and 4 false"
        in found.text
    )
    # c0 is doubted; of the nineteen other false alarms three stay, and two defects are missed instead.
    assert found.mistakes == 1 + (19 - (3 + 2))


def test_a_slice_counts_what_it_misses_beyond_the_others(evaluated: dict[str, Any]) -> None:
    (found,) = remedies(evaluated, None, None, None)
    assert found.title == "More examples of line = B"
    assert found.mistakes == 2
    assert "2 of 2 missed defects: recall 0.500 over 4 defects. It is 1.000 over the other 6." in found.text


def test_more_coils_are_worth_what_the_last_doubling_was(evaluated: dict[str, Any]) -> None:
    found = named(remedies(evaluated, None, None, CURVE))["More coils"]
    assert found.mistakes == pytest.approx(4 * 100 / 400)
    assert "From 10 to 20 training groups" in found.text
    assert "-100 (90 % interval -180 to -20)" in found.text


@pytest.mark.parametrize(
    ("interval", "said"),
    [({"low": -5.0}, "within chance"), ({"saved": -80.0, "low": -150.0, "high": -9.0}, "do not help")],
)
def test_a_slope_that_may_be_chance_promises_nothing(
    evaluated: dict[str, Any], interval: dict[str, float], said: str
) -> None:
    found = named(remedies(evaluated, None, None, replace(CURVE, **interval)))["More coils"]
    assert found.mistakes == 0
    assert said in found.text
    assert "remove" not in found.text


def test_the_largest_remedy_comes_first(evaluated: dict[str, Any], scores: pd.DataFrame) -> None:
    found = remedies(evaluated, scores, {"c0", "c1", "d9"}, CURVE)
    assert [each.title for each in found] == ["Read doubtful labels again", "More examples of line = B", "More coils"]
    assert remedies(evaluated, scores, set(), CURVE)[0].title == "More examples of line = B"


def test_the_section_says_what_the_targets_cost(evaluated: dict[str, Any], scores: pd.DataFrame) -> None:
    record = RunRecord(
        "r",
        Verdict.REJECTED,
        results={"evaluate": StageResult("evaluate", Status.DONE, outputs=evaluated)},
        scores=scores,
    )
    (section,) = what_would_help(record)
    said = section.blocks[-1]
    # At recall 0.95 the threshold is the score of d9: the four alarms stay all there are. The gate names no precision: the design's.
    assert "recall 0.95 costs 200 false alarms per 1,000 clean patches (precision 0.71)" in said.text
    assert "precision 0.7 leaves recall 1.00" in said.text


def test_a_run_of_which_nothing_is_known_has_no_section(evaluated: dict[str, Any]) -> None:
    del evaluated["worst_slice"]
    record = RunRecord("r", Verdict.REJECTED, results={"evaluate": StageResult("evaluate", outputs=evaluated)})
    assert what_would_help(record) == []


def evaluated_run(outputs: dict[str, Any], scores: pd.DataFrame | None = None, **known: Any) -> RunRecord:
    return RunRecord(
        "r", Verdict.REJECTED, results={"evaluate": StageResult("evaluate", outputs=outputs)}, scores=scores, **known
    )


def test_advice_is_the_largest_remedy_with_its_number(evaluated: dict[str, Any], scores: pd.DataFrame) -> None:
    record = evaluated_run(evaluated, scores, doubted=frozenset({"c0", "c1", "d9"}))
    assert (
        advice_for(record)
        == "What would help most: read doubtful labels again: up to 3 of 6 mistakes on the test split."
    )


def test_advice_promises_nothing_where_no_remedy_removes_a_mistake(evaluated: dict[str, Any]) -> None:
    evaluated["worst_slice"] = {**SLICE, "recall": {"value": 1.0}}
    assert advice_for(evaluated_run(evaluated)) == (
        "What would help most: nothing that was measured (more examples of line = B) would remove one of 6 mistakes on the test split."
    )


def test_there_is_no_advice_without_metrics_mistakes_or_remedies(evaluated: dict[str, Any]) -> None:
    assert advice_for(RunRecord("r", Verdict.REJECTED)) == ""
    assert advice_for(evaluated_run({**evaluated, "counts": {"tp": 10, "fn": 0, "fp": 0, "tn": 20}})) == ""
    assert advice_for(evaluated_run({**evaluated, "worst_slice": None})) == ""


def test_advice_stays_on_one_line_whatever_a_slice_is_called(evaluated: dict[str, Any]) -> None:
    evaluated["worst_slice"] = {**SLICE, "value": "B\n12:00:00 PUBLISHED" + "x" * 5_000}
    (line,) = advice_for(evaluated_run(evaluated)).splitlines()
    assert len(line) < 300
