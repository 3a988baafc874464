"""A run whose model is refused: what each stage leaves, and that nothing is done twice."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from steel_training.cli import main
from steel_training.registry import Registry
from steel_training.registry.signatures import PRIVATE, PUBLIC, write_key_pair
from steel_training.report.from_run import write_report
from steel_training.report.summary import conclude
from steel_training.runs.lineage import reproduce
from steel_training.runs.result import STAGES, Status
from steel_training.runs.run import ResultUnreadable, Run
from steel_training.storage import open_storage
from steel_training.storage.recorded import ValueMissing
from steel_training.verdict import Verdict

pytestmark = pytest.mark.long


def paths(values: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to each value of a JSON object, objects in lists left out."""
    if isinstance(values, dict):
        for name, value in values.items():
            yield (*above, name)
            yield from paths(value, (*above, name))


def what_a_record_lacks_is_named(store: Path) -> None:
    """Takes one value after another out of the records of a run, as another version may have left them: it is read without it, or named."""
    named = 0
    for stage in STAGES:
        record = store / "runs" / "first" / stage / "result.json"
        if not record.is_file():
            continue
        whole = record.read_text(encoding="utf-8")
        for path in list(paths(json.loads(whole)["outputs"]))[::9]:
            values = json.loads(whole)
            outputs = values["outputs"]
            for name in path[:-1]:
                outputs = outputs[name]
            del outputs[path[-1]]
            record.write_text(json.dumps(values), encoding="utf-8")
            run = Run(open_storage(store), "first")
            for read in (lambda run: conclude(run, run.result("reject_model")), reproduce, write_report):
                try:
                    read(run, Verdict.REJECTED, (), None) if read is write_report else read(run)
                except (ValueMissing, ResultUnreadable) as error:
                    assert str(record) in str(error)
                    assert path[-1] in str(error)
                    named += 1
        record.write_text(whole, encoding="utf-8")
    assert named > 5


def a_champion_that_nobody_signed_is_not_compared_with(
    store: Path, again: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Repeats the run, by its command, where the site trusts a key since, and the champion that came meanwhile bears no signature."""
    unsigned = store.parent / "unsigned"
    shutil.copytree(store, unsigned)
    keys = store.parent / "keys"
    write_key_pair(keys)
    registry = Registry(open_storage(unsigned), "steel-defects")
    registry.publish(unsigned / "runs" / "first" / "evaluate" / "bundle", "planted")
    registry.promote("planted")
    before = (registry.pointer(), registry.decisions())
    with monkeypatch.context() as site:
        site.setenv("STEEL_TRAINING_SIGNING_KEY", str(keys / PRIVATE))
        site.setenv("STEEL_TRAINING_TRUSTED_KEYS", str(keys / PUBLIC))
        site.setattr(
            "steel_training.stages.evaluate.export_bundle", lambda *_, **__: pytest.fail("exported for nothing")
        )
        capsys.readouterr()
        assert main(["run", *again, "--store", str(unsigned)]) == 1
    answer = capsys.readouterr()
    assert "Version planted of steel-defects is signed not at all" in answer.err
    assert answer.out == "", "it has no verdict"
    assert (registry.pointer(), registry.decisions()) == before
    assert registry.versions() == ["planted"], "nothing is published"


def test_rejected_model_leaves_report_and_record(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    little_work: list[str],
    run_line: Callable[..., tuple[int, dict]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = tmp_path / "store"
    with caplog.at_level(logging.INFO):
        code, answer = run_line(data, store, *little_work, "--run-id", "first")
    assert (code, answer["verdict"], answer["version"]) == (3, "rejected", None)
    assert {reason["code"] for reason in answer["reasons"]} & {"gate.precision", "gate.recall", "gate.auc", "gate.f2"}

    run = Run(open_storage(store), "first")
    untouched = {"approve_release", "publish_model"}
    assert [stage for stage in STAGES if run.find_result(stage)] == [s for s in STAGES if s not in untouched]
    scores = pd.read_parquet(store / "runs" / "first" / "evaluate" / "scores.parquet")
    assert set(scores["part"]) == {"val", "test"}
    parts = run.result("resolve_dataset").outputs["parts"]
    assert parts["train"]["groups"] + parts["val"]["groups"] + parts["test"]["groups"] == 20
    assert "random" in Path(answer["report"]).read_text(encoding="utf-8").lower()
    assert "random" in caplog.text
    assert run.result("reject_model").outputs["advice"].startswith("What would help most: ")

    registry = Registry(open_storage(store), "steel-defects")
    assert registry.champion()[0] is None
    assert [d["verdict"] for d in registry.decisions()] == ["rejected"]

    what_a_record_lacks_is_named(store)
    again = [str(data), *little_work, "--run-id", "first"]
    a_champion_that_nobody_signed_is_not_compared_with(store, again, monkeypatch, capsys)

    # The same run again does no stage twice; another run on the same data has nothing to do.
    before = run.result("train_head").finished_at
    assert run_line(data, store, *little_work, "--run-id", "first")[0] == 3
    assert run.result("train_head").finished_at == before
    code, answer = run_line(data, store, *little_work, "--run-id", "second")
    assert (code, answer["verdict"]) == (0, "unchanged")
    assert not Run(open_storage(store), "second").find_result("profile_patches")

    # A backfilled run would add nothing to that verdict. A backfilled verdict is none to the night: it moved no champion.
    backfilled = ("--run-id", "filled", "--set", "publish.promote=false")
    assert run_line(data, store, *little_work, *backfilled)[1]["verdict"] == "unchanged"
    kept = registry.decisions()[0]
    registry.record("first", Verdict.REJECTED, (), {**kept, "promote": False})
    request = ["--dataset", str(data), *little_work]
    assert main(["resolve_dataset", "--run-id", "third", "--store", str(store), *request]) == 0
    assert Run(open_storage(store), "third").result("resolve_dataset").status is Status.DONE

    # Done again on relabelled data, a run keeps nothing of what it was.
    (data / "manifest.csv").write_text((data / "manifest.csv").read_text().replace("coil01", "coil21"))
    assert main(["resolve_dataset", "--run-id", "first", "--store", str(store), *request]) == 0
    assert [path.name for path in (store / "runs" / "first").iterdir()] == ["resolve_dataset"]
