"""The stage that audits labels: what it leaves, that it never stops a run, and that a second time nothing is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from steel_training.cli import main
from steel_training.labels.answers import Answer, Said, append_answers
from steel_training.labels.review.sheet import REVIEW_SHEET, Sheet
from steel_training.report import label_sections, render
from steel_training.report.from_run import read_record
from steel_training.runs.artifacts import LABELS
from steel_training.runs.outputs import AuditedLabels, CheckedBaseline
from steel_training.runs.result import StageResult, Status
from steel_training.runs.run import Run
from steel_training.stages import audit_labels, perform
from steel_training.storage import open_storage

SETTINGS = ("model.weights=steel", "data.input_size=32", "training.fine_tune.epochs=0")


@pytest.fixture
def checked(tmp_path: Path) -> Callable[[Path], Run]:
    """A run that stands before the audit."""

    def make(dataset: Path) -> Run:
        command = ["--run-id", "r", "--store", str(tmp_path / "store")]
        settings = [word for setting in SETTINGS for word in ("--set", setting)]
        assert main(["resolve_dataset", *command, "--dataset", str(dataset), *settings]) == 0
        assert main(["profile_patches", *command]) == 0
        run = Run(open_storage(tmp_path / "store"), "r")
        left = StageResult("check_baseline", outputs=CheckedBaseline([]).to_dict())
        run.perform("check_baseline", run.after("profile_patches"), lambda _: left)
        return run

    return make


def test_audit_leaves_table_pictures_and_estimates(
    checked: Callable[[Path], Run], tmp_path: Path, make_dataset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_dataset(tmp_path / "data")
    manifest = pd.read_csv(data / "manifest.csv")
    manifest.loc[[3, 31, 121, 260], "label"] ^= 1
    manifest.to_csv(data / "manifest.csv", index=False)
    run = checked(data)
    assert main(["audit_labels", "--run-id", "r", "--store", str(tmp_path / "store")]) == 0
    result = run.result("audit_labels")
    assert result.status is Status.DONE
    found = run.outputs("audit_labels", AuditedLabels.from_dict)
    assert (found.problem, found.patches) == ("", 300)
    assert json.loads(json.dumps(found.to_dict())) == dict(result.outputs)
    assert [each.label for each in found.wrong_labels] == [0, 1]
    folder = tmp_path / "store/runs/r/audit_labels"
    table = pd.read_parquet(folder / LABELS)
    assert len(table) == 300
    merged = table.merge(manifest.drop(columns="label"), on="patch_id")
    assert (merged["group"] == merged["group_id"]).all(), "each row is of the patch that it names"
    given = manifest.set_index("patch_id")["label"]
    assert (table.set_index("patch_id")["label"] == given.reindex(table["patch_id"])).all()
    assert found.suspects == (table["quality"] < 0.5).sum() > 0
    assert [reason.code for reason in result.reasons] == ["labels.suspect"]
    sheet = Sheet.from_dict(json.loads((folder / REVIEW_SHEET).read_text()))
    assert (sheet.dataset, sheet.fingerprint) == (str(data), run.resolved.fingerprint)
    assert [patch.patch_id for patch in sheet.patches] == list(table["patch_id"]), (
        "worst first, and few enough to keep all"
    )
    worst = next(patch for patch in sheet.patches if patch.split != "test")
    assert (len(worst.clean), len(worst.defective)) == (3, 3)
    splits = {patch.patch_id: patch.split for patch in sheet.patches}
    assert all(splits[each.patch_id] != "test" for patch in sheet.patches for each in (*patch.clean, *patch.defective))
    reviewed = [
        Answer(run.resolved.dataset, "any", name, Said.CLEAN, "Ada", "2026-01-02T10:00:00+00:00", 1.0, blind=True)
        for name in table["patch_id"].head(20)
    ]
    append_answers(run.store, "ada", reviewed)
    html = render(read_record(run, None, (), None))
    assert "label against Ada" in html
    (store_file,) = (tmp_path / "store/labels/answers").glob("*.jsonl")
    store_file.write_text("by hand")
    assert "cannot be read" in render(read_record(run, None, (), None)), "answers that are damaged cost no report"
    assert label_sections.TITLE in html
    assert "contrast stretched" in html

    monkeypatch.setattr(audit_labels, "audit", None)  # called, it would be an error
    assert perform("audit_labels", run) == result


def test_too_little_data_is_a_reason_and_no_end(
    checked: Callable[[Path], Run], tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    run = checked(make_dataset(tmp_path / "data", patches=36))
    assert main(["audit_labels", "--run-id", "r", "--store", str(tmp_path / "store")]) == 0
    result = run.result("audit_labels")
    assert result.status is Status.DONE
    (reason,) = result.reasons
    assert reason.code == "labels.not_audited"
    assert "24 clean patches in 8 groups" in reason.message
    assert "24 clean patches in 8 groups" in run.outputs("audit_labels", AuditedLabels.from_dict).problem
    assert reason.message in render(read_record(run, None, (), None))


def test_an_unexpected_failure_does_not_stop_the_run(
    checked: Callable[[Path], Run], tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    data = make_dataset(tmp_path / "data", patches=120)
    run = checked(data)
    (data / "patches" / "p0007.png").unlink()
    result = perform("audit_labels", run)
    assert (result.status, [reason.code for reason in result.reasons]) == (Status.DONE, ["labels.not_audited"])
    assert "p0007.png" in result.reasons[0].message
    assert run.after("check_baseline"), "train_head goes on from there"
