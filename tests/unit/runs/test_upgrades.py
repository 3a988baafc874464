"""What an earlier version of the program left in a store is read, served and moved by this one; what a later one left is not misread."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from steel_training.cli import main
from steel_training.registry import MARKER, Registry
from steel_training.registry.decisions import Decisions
from steel_training.report import evaluation_sections, label_sections
from steel_training.report.summary import conclude
from steel_training.runs.result import STAGES
from steel_training.runs.run import Run
from steel_training.stages._champion_labels import labels_unlike_champion
from steel_training.storage import open_storage
from steel_training.storage.schema import SCHEMA, WrittenByNewer

KEPT = Path(__file__).parents[2] / "stores"
NEWEST = f"schema-{SCHEMA}"


@pytest.fixture(params=sorted(folder.name for folder in KEPT.glob("schema-*")))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    shutil.copytree(KEPT / request.param, tmp_path / "store")
    return tmp_path / "store"


def test_a_store_of_every_schema_is_kept() -> None:
    assert {folder.name for folder in KEPT.glob("schema-*")} == {
        f"schema-{number}" for number in range(1, SCHEMA + 1)
    }, "tests/stores/make.py makes one; those that are there stay"


def test_its_models_are_listed_shown_compared_verified_and_score(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(open_storage(store), "steel-defects")
    first, second = registry.versions()
    for words in (["list"], ["show", first], ["compare", first, second], ["verify", first], ["verify"]):
        assert main(["models", *words, "--store", str(store)]) == 0, words
    told = capsys.readouterr().out
    assert "published" in told
    assert "rejected" in told
    samples = sorted((store / "models/steel-defects/versions" / second / "golden").glob("*.png"))
    assert main(["predict", *map(str, samples), "--store", str(store)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if ".png" in line]
    golden = json.loads(samples[0].with_name("scores.json").read_text())
    assert [float(row[1]) for row in rows] == [round(golden[sample.name], 4) for sample in samples]


def test_earlier_store_supports_promote_rollback_prune(store: Path) -> None:
    registry = Registry(open_storage(store), "steel-defects")
    first, second = registry.versions()
    assert registry.champion()[0] == second
    assert registry.rollback() == (second, first)
    assert registry.promote(second) == first
    assert {decision["verdict"] for decision in registry.decisions()} == {"published", "rejected"}
    assert registry.prune(1) == []
    assert not Decisions(registry).read().unreadable


def test_the_results_of_its_runs_are_read(store: Path) -> None:
    (run_id,) = (folder.name for folder in (store / "runs").iterdir())
    run = Run(open_storage(store), run_id)
    done = [stage for stage in STAGES if run.find_result(stage) is not None]
    assert done == [stage for stage in STAGES if stage not in ("audit_labels", "approve_release", "reject_model")]
    assert str(run.result("publish_model").verdict) == "published"


def test_a_run_from_before_the_audit_goes_on(store: Path) -> None:
    (run_id,) = (folder.name for folder in (store / "runs").iterdir())
    run = Run(open_storage(store), run_id)
    assert run.find_result("audit_labels") is None
    assert run.find_done("train_head", run.after("check_baseline")) is not None, "it need not train again"


def test_a_run_from_before_labels_were_compared_says_nothing_of_them(store: Path) -> None:
    (run_id,) = (folder.name for folder in (store / "runs").iterdir())
    run = Run(open_storage(store), run_id)
    evaluated = run.result("evaluate").outputs
    assert label_sections.corrected(evaluated) == []
    assert "labels" not in str(evaluation_sections.comparison(evaluated))
    assert conclude(run, run.result("publish_model")).advice == ""


def test_labels_of_a_champion_that_no_run_in_the_store_made_are_unknown(store: Path) -> None:
    (run_id,) = (folder.name for folder in (store / "runs").iterdir())
    run = Run(open_storage(store), run_id)
    for champion in run.registry.versions():
        found = labels_unlike_champion(run, champion)
        assert found is not None
        assert (found.champion, found.common) == (champion, 0)
        assert found.problem
        assert "is not known" in found.sentence


@pytest.mark.parametrize("what", ["pointer", "verdict", "gate", "result"])
def test_record_of_later_schema_is_refused(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    shutil.copytree(KEPT / NEWEST, store)
    registry = Registry(open_storage(store), "steel-defects")
    first, _ = registry.versions()
    (run_id,) = (folder.name for folder in (store / "runs").iterdir())
    models = store / "models" / "steel-defects"
    path = {
        "pointer": models / "champion.json",
        "verdict": models / "decisions" / "run-refused.json",
        "gate": models / "versions" / first / "gate.json",
        "result": store / "runs" / run_id / "decide" / "result.json",
    }[what]
    record = json.loads(path.read_text())
    assert record["schema"] == SCHEMA
    path.write_text(json.dumps({**record, "schema": SCHEMA + 1}))
    if what == "gate":
        sums = json.loads((path.parent / MARKER).read_text())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (path.parent / MARKER).write_text(json.dumps({**sums, "gate.json": digest}))
    before = {file: file.read_bytes() for file in store.rglob("*") if file.is_file() and not file.name.startswith(".")}
    if what == "result":
        with pytest.raises(
            WrittenByNewer, match=r"result of decide \(.*/result\.json\) was written by a later version"
        ):
            Run(open_storage(store), run_id).result("decide")
    elif what == "verdict":
        (unreadable,) = Decisions(registry).read().unreadable
        assert "later version of steel-training" in unreadable.why
    elif what == "gate":
        assert main(["models", "show", first, "--store", str(store)]) == 1
        assert "gate.json of version" in (told := capsys.readouterr().err)
        assert "later version of steel-training" in told
    else:
        for words in (["promote", first], ["rollback"], ["prune", "--keep", "1"]):
            assert main(["models", *words, "--store", str(store)]) == 1
            assert (
                f"later version of steel-training (schema {SCHEMA + 1}; this one reads up to {SCHEMA})"
                in capsys.readouterr().err
            )
    after = {file: file.read_bytes() for file in store.rglob("*") if file.is_file() and not file.name.startswith(".")}
    assert after == before
