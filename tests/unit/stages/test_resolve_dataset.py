"""A run begins, whatever earlier ones left."""

from __future__ import annotations

from pathlib import Path

import pytest

from steel_training.cli import main
from steel_training.runs.result import Status
from steel_training.runs.run import Run
from steel_training.storage import open_storage


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"run_id": "x", "verdict": "published"}'])
def test_a_torn_verdict_fails_no_new_run(data: Path, tmp_path: Path, content: bytes) -> None:
    store = tmp_path / "store"
    open_storage(store).write("models/steel-defects/decisions/torn.json", content)
    assert main(["resolve_dataset", "--run-id", "new", "--store", str(store), "--dataset", str(data)]) == 0
    assert Run(open_storage(store), "new").result("resolve_dataset").status is Status.DONE


def test_a_damaged_record_of_the_ingest_ends_the_run_before_hours_of_work(data: Path, tmp_path: Path, capsys) -> None:
    (data / "ingest.json").write_text('{"grey_range": {"low": 9, "high": 3}}')
    command = ["resolve_dataset", "--run-id", "new", "--store", str(tmp_path / "store"), "--dataset", str(data)]
    assert main(command) == 2
    assert "The grey range is 9:3" in capsys.readouterr().err
    (data / "ingest.json").write_text('{"grey_range": {"low": 9, "high": 300}}')
    assert main(command) == 0
    assert Run(open_storage(tmp_path / "store"), "new").resolved.grey_range == {"low": 9, "high": 300}


def test_version_and_what_was_passed_over_are_told(make_dataset, tmp_path: Path, caplog) -> None:
    for name in ("2026-03-01", "2026-03-02", "2026-3-3"):
        make_dataset(tmp_path / "mill" / name)
    (tmp_path / "mill" / "2026-03-02" / "manifest.csv").unlink()
    caplog.set_level("INFO")
    words = ["--run-id", "new", "--store", str(tmp_path / "store"), "--dataset", str(tmp_path / "mill")]
    assert main(["resolve_dataset", *words, "--date", "2026-03-05"]) == 0
    resolved = Run(open_storage(tmp_path / "store"), "new").resolved
    reasons = {"2026-3-3": "not a date of the form YYYY-MM-DD", "2026-03-02": "no manifest yet"}
    assert (resolved.version, resolved.passed_over) == ("2026-03-01", reasons)
    assert f"dataset version 2026-03-01, as of 2026-03-05: {tmp_path}/mill/2026-03-01" in caplog.text
    told = "passed over: 2026-3-3 (not a date of the form YYYY-MM-DD), 2026-03-02 (no manifest yet)"
    assert told in caplog.text
