"""`models …` tells a person what the registry knows, and says so when two versions cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steel_training.cli import main
from steel_training.registry import MARKER, Registry
from steel_training.storage import open_storage
from steel_training.verdict import Reason, Verdict


def gate(recall: float, **more: object) -> dict:
    return {
        "judged_at": "2026-11-24T10:00:00+00:00",
        "run_id": "run-1",
        "dataset": "/data/strip/2026-11-24",
        "fingerprint": "f" * 64,
        "split_seed": 20,
        "test_part": "p1",
        "parts": {"test": {"clean": 700, "defective": 300, "groups": 40}},
        "metrics": {"recall": {"value": recall, "bound": recall - 0.02}, "auc": {"value": None, "bound": None}},
        "counts": {"tp": 290, "fn": 10, "fp": 55, "tn": 645},
        "threshold": {"value": 0.4},
        "machine": {"cores": 2, "python": "3.12.1", "platform": "Linux", "processor": "x86_64"},
        "packages": {"tensorflow": "2.21.0"},
        "parent_champion": None,
        "approval": {"approved": True, "by": "Ada", "reason": None},
        "reasons": [],
        "reproduce": "steel-training run /data/strip/2026-11-24 --store NEW_STORE",
        **more,
    }


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    found = Registry(open_storage(tmp_path / "store"), "steel-defects")
    for version, known in (("v1", gate(0.96)), ("v2", gate(0.97)), ("v3", gate(0.99, test_part="p2")), ("v0", {})):
        folder = tmp_path / version
        folder.mkdir()
        (folder / "gate.json").write_text(json.dumps(known), encoding="utf-8")
        found.publish(folder, version)
        facts = {"version": version, "metrics": known.get("metrics", {}), "dataset_version": "2026-11-24"}
        found.record(f"run-{version}", Verdict.PUBLISHED, [], facts)
    found.record("run-bad", Verdict.BLOCKED, [Reason("leak.group", "x")], {"version": None, "dataset": "/data/strip"})
    found.promote("v2")
    return found


@pytest.fixture
def models(registry: Registry, capsys: pytest.CaptureFixture[str]):
    def call(*words: str, code: int = 0) -> str:
        assert main(["models", *words, "--store", registry.store.uri]) == code
        said = capsys.readouterr()
        return said.out or said.err

    return call


def test_list_marks_champion_and_pruned_newest_last(models, registry) -> None:
    registry.store.remove_folder("models/steel-defects/versions/v1", first=MARKER)
    head, *rows, end = models("list").splitlines()
    assert head.split() == ["version", "verdict", "recall", "precision", "F2", "AUC", "day", "dataset", "run"]
    assert [row.split()[-1] for row in rows] == ["run-v1", "run-v2", "run-v3", "run-v0", "run-bad"]
    assert [row.startswith("*") for row in rows] == [False, True, False, False, False]
    assert "published, pruned" in rows[0]
    assert "0.9700" in rows[1]
    assert ("blocked" in rows[4], "strip" in rows[4]) == (True, True)
    assert end == "champion: v2"
    assert len({row.index("run-") for row in rows}) == 1, "columns are aligned"


def test_a_version_that_its_run_replaced_is_told_as_such(models, registry) -> None:
    registry.record("run-v3", Verdict.REJECTED, [], {"version": None})
    (row,) = (line for line in models("list").splitlines() if line.lstrip("* ").startswith("v3"))
    assert ("replaced" in row, row.split()[-1]) == (True, "run-v3")


def test_an_empty_registry_is_no_error(tmp_path: Path, capsys) -> None:
    assert main(["models", "list", "--store", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no verdicts yet\nchampion: none yet\n"
    assert main(["models", "verify", "--store", str(tmp_path)]) == 0


def test_show_is_for_a_person_and_json_for_a_program(models) -> None:
    told = models("show", "v2")
    for part in (
        "v2  (champion)",
        "10 of 300 defects missed, 55 false alarms",
        "1,000 patches (300 defective) of 40 groups",
        "0.9700",
        "0.9500",
        "2 cores",
        "steel-training run /data/strip/2026-11-24 --store NEW_STORE",
        "released by  Ada",
    ):
        assert part in told, part
    assert json.loads(models("show", "v2", "--json")) == gate(0.97)
    assert models("show", "v0").startswith("v0\n"), "a version of which little is known is shown too"


def test_compare_warns_only_if_test_splits_differ(models) -> None:
    same = models("compare", "v1", "v2")
    assert "+0.0100" in same
    assert "Warning" not in same
    assert "the test splits differ" in models("compare", "v1", "v3")
    assert "not recorded" in models("compare", "v1", "v0")


def test_moves_are_told(models) -> None:
    assert models("promote", "v3") == "champion: v3 (before: v2)\n"
    assert models("rollback") == "champion: v2 (before: v3)\n"
    assert "no earlier champion" in models("rollback", code=2)
    assert "holds no version v9" in models("promote", "v9", code=2)


def test_prune_says_what_goes_before_and_after(models, registry) -> None:
    models("promote", "v3")
    assert models("prune", "--keep", "1", "--dry-run").splitlines() == [
        "would remove v0",
        "would remove v1",
        "2 versions would be kept: v2, v3",
    ]
    assert len(registry.versions()) == 4
    assert models("prune", "--keep", "1").splitlines() == ["removed v0", "removed v1", "2 versions kept: v2, v3"]
    assert "at least 1" in models("prune", "--keep", "0", code=2)


def test_verify_ends_with_1_where_something_is_damaged(models, registry) -> None:
    assert "4 versions checked, 0 damaged" in models("verify")
    registry.store.write("models/steel-defects/versions/v1/gate.json", b"{}")
    told = models("verify", code=1)
    assert "v1  damaged" in told
    assert "gate.json of version v1 differs from what was published" in told
    assert "4 versions checked, 1 damaged" in told
    assert models("verify", "v2").startswith("v2  all files match their checksums")
