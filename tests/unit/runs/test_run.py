"""A stage's result is there whole or not at all, and the same inputs are not worked on twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.errors import SteelTrainingError, UsageError
from steel_training.runs.result import FIRST, StageResult, Status, folder_of, safe_run_id
from steel_training.runs.run import UNFINISHED, ResultDamaged, ResultUnreadable, Run, StageNotDone
from steel_training.storage import open_storage
from steel_training.verdict import Reason, Verdict


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(open_storage(tmp_path), "r1")


def test_stage_runs_once_per_inputs(run: Run) -> None:
    done = []

    def work(folder: Path) -> StageResult:
        done.append(1)
        (folder / "file.txt").write_text(str(len(done)), encoding="utf-8")
        return StageResult("s", Status.BLOCKED, (Reason("data.labels", "why"),), {"n": len(done)})

    first = run.perform("s", {"x": 1}, work)
    assert run.perform("s", {"x": 1}, work) == first == run.result("s")
    assert (len(done), first.status, first.reasons[0].code) == (1, Status.BLOCKED, "data.labels")
    second = run.perform("s", {"x": 2}, work)
    assert (len(done), second.outputs["n"]) == (2, 2)
    with run.folder("s") as folder:
        assert (folder / "file.txt").read_text(encoding="utf-8") == "2"


@pytest.mark.parametrize(
    ("status", "outputs", "verdict"),
    [
        (Status.DONE, {}, None),
        (Status.DONE, {"verdict": "published"}, Verdict.PUBLISHED),
        (Status.BLOCKED, {}, Verdict.BLOCKED),
        (Status.REFUSED, {"verdict": "rejected"}, Verdict.REJECTED),
        (Status.UNCHANGED, {}, Verdict.UNCHANGED),
    ],
)
def test_a_result_says_whether_the_run_ends_with_it_and_how(
    status: Status, outputs: dict[str, str], verdict: Verdict | None
) -> None:
    assert StageResult("any", status, outputs=outputs).verdict is verdict


def test_a_stage_that_fails_leaves_what_was_there(run: Run) -> None:
    def breaks(folder: Path) -> StageResult:
        (folder / "half").write_text("", encoding="utf-8")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        run.perform("s", {}, breaks)
    assert run.find_result("s") is None
    assert list(run.store.entries()) == []
    with pytest.raises(StageNotDone, match="steel-training s --run-id r1"):
        run.result("s")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_result_that_is_not_finite_is_never_written(run: Run, value: float) -> None:
    with pytest.raises(SteelTrainingError, match="not finite"):
        run.perform("s", {}, lambda _: StageResult("s", outputs={"auc": value}))
    assert run.find_result("s") is None


@given(st.text(max_size=300))
def test_any_run_id_becomes_a_folder_name_of_its_own(text: str) -> None:
    name = safe_run_id(text)
    Run(open_storage("/nowhere"), name)
    assert safe_run_id(name) == name
    assert name == text or name != safe_run_id(text + "x")


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "x" * 201])
def test_a_run_id_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not a valid folder name"):
        Run(open_storage("/nowhere"), name)


def test_a_stage_is_passed_once_nothing_is_left_to_do(run: Run) -> None:
    before = run.perform("train_head", {"x": 1}, lambda _: StageResult("train_head"))
    assert run.find_passed("fine_tune") is None, "it has not begun"
    done = run.perform("fine_tune", run.inputs_of("fine_tune"), lambda _: StageResult("fine_tune"))
    assert run.find_passed("fine_tune") == done
    run.store.write(run.key(UNFINISHED, "fine_tune", "training.npz"), b"state")
    assert run.find_passed("fine_tune") is None, "it was killed before it removed the state of its training"
    run.store.remove_folder(run.key(UNFINISHED, "fine_tune"), first="training.npz")
    assert run.perform("train_head", {"x": 2}, lambda _: StageResult("train_head")) != before
    assert run.find_passed("fine_tune") is None, "it was made from another network"
    with pytest.raises(StageNotDone, match="check_baseline"):
        run.find_passed("train_head")


def test_a_stage_that_ended_the_run_is_asked_again(run: Run) -> None:
    run.perform("profile_patches", {}, lambda _: StageResult("profile_patches"))
    reason = Reason("data.labels", "why")
    run.perform(
        "validate_patches",
        run.inputs_of("validate_patches"),
        lambda _: StageResult("validate_patches", Status.BLOCKED, (reason,)),
    )
    assert run.find_passed("validate_patches") is None, "its verdict may not be recorded yet"
    with pytest.raises(SteelTrainingError, match="ended at validate_patches"):
        run.find_passed("check_baseline")


TORN = [b"", b"{", b"[1]", b"\xff", b"{}", b'{"stage": "s", "status": "done", "outputs": [], "reasons": []}']
WHOLE = {"stage": "s", "status": "done", "reasons": [], "outputs": {}, "inputs": "", "seconds": 1.5, "finished_at": ""}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"seconds": True}, "seconds is True; expected a number"),
        ({"status": "ended"}, "'ended' is not a valid Status"),
        ({"files": 5}, "files is 5; expected text"),
        ({"reasons": [{"code": "data.labels"}]}, r"reasons\[0\]\.message is missing"),
    ],
)
def test_what_damages_a_result_is_named(run: Run, changed: dict[str, object], told: str) -> None:
    run.store.write("runs/r1/s/result.json", json.dumps({**WHOLE, **changed}).encode())
    with pytest.raises(ResultDamaged, match=rf"The result of s \(.*runs/r1/s/result.json\) is damaged \({told}\)"):
        run.read_result("s")


@pytest.mark.parametrize("content", TORN)
def test_a_torn_result_is_made_again(run: Run, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    run.perform("s", {"x": 1}, lambda _: StageResult("s", outputs={"n": 1}))
    run.store.write("runs/r1/s/result.json", content)
    assert run.find_result("s") is None
    assert "runs/r1/s/result.json) is damaged" in caplog.text
    with pytest.raises(StageNotDone):
        run.result("s")
    with pytest.raises(ResultUnreadable):
        run.read_result("s")
    assert run.perform("s", {"x": 1}, lambda _: StageResult("s", outputs={"n": 2})).outputs == {"n": 2}
    assert run.result("s").outputs == {"n": 2}


def test_a_setting_that_is_no_more_is_named(run: Run) -> None:
    outputs = {"config": {"training": {"cutout": 1}}, "dataset": "there"}
    run.perform(FIRST, {}, lambda _: StageResult(FIRST, outputs=outputs))
    with pytest.raises(
        ResultUnreadable,
        match=r"r1/resolve_dataset/result\.json.*fingerprint: Field required; config\.training\.cutout: Extra",
    ):
        _ = run.config


@given(st.text(max_size=300))
def test_no_scheduled_run_shares_the_folder_of_another(text: str) -> None:
    folder = folder_of(text)
    Run(open_storage("/nowhere"), folder)
    assert safe_run_id(folder) == folder, "the command of a stage names the folder"
    assert folder_of(folder) != folder or folder == text


def test_an_id_like_a_hashed_folder_gets_its_own() -> None:
    folder = folder_of("manual__2026-11-24T00:10:00+00:00")
    assert folder == safe_run_id("manual__2026-11-24T00:10:00+00:00"), "runs made before are found"
    assert folder_of(folder) != folder
    assert folder_of("scheduled__2026-11-24") == "scheduled__2026-11-24"
