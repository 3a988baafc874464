"""People's words stand between the gate and the champion, and no command leads around them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from steel_training.cli import main
from steel_training.registry import Registry
from steel_training.runs.artifacts import BUNDLE
from steel_training.runs.lineage import facts
from steel_training.runs.result import REPORT, StageResult
from steel_training.runs.run import Run
from steel_training.stages.approve_release import WaitsForAnswer, released
from steel_training.storage import StorageError, open_storage
from steel_training.verdict import Reason

MET = Reason("gate.met", "recall 0.97 reaches its target 0.95")


@pytest.fixture
def decided(tmp_path: Path, make_dataset: Callable[..., Path]) -> Callable[..., Run]:
    """A run that the gate has judged."""
    data = make_dataset(tmp_path / "data", patches=60)

    def make(*settings: str, publish: bool = True, require: bool = True) -> Run:
        words = ["--run-id", "night", "--store", str(tmp_path / "store"), "--dataset", str(data)]
        words += ["--set", f"publish.require_approval={json.dumps(require)}", "--set", "model.weights=none"]
        words += [word for setting in settings for word in ("--set", setting)]
        assert main(["resolve_dataset", *words]) == 0
        run = Run(open_storage(tmp_path / "store"), "night")
        result = StageResult("decide", reasons=(MET,), outputs={"publish": publish, "champion": None})
        run.perform("decide", run.after("resolve_dataset"), lambda _: result)
        return run

    return make


def asked(run: Run, stage: str, *words: str) -> int:
    return main([stage, "--run-id", run.run_id, "--store", run.store.uri, *words])


@pytest.mark.parametrize("stage", ["publish_model", "reject_model"])
def test_unanswered_approval_blocks_both_endings(decided, stage: str, capsys) -> None:
    run = decided()
    assert asked(run, stage) == 2
    assert "approve_release --run-id night" in capsys.readouterr().err
    assert run.find_result(stage) is None
    assert run.registry.decisions() == []


def test_refusal_is_recorded_as_rejection_with_reason(decided, capsys) -> None:
    run = decided()
    assert asked(run, "approve_release", "--by", "Ada", "--refuse", "line 2 gets new lamps on Monday") == 0
    assert asked(run, "publish_model") == 1
    assert "is not to be published" in capsys.readouterr().err
    assert asked(run, "reject_model") == 3
    (record,) = run.registry.decisions()
    assert record["verdict"] == "rejected"
    assert [reason["code"] for reason in record["reasons"]] == ["release.refused"]
    assert "Ada" in record["reasons"][0]["message"]
    assert "new lamps on Monday" in record["reasons"][0]["message"]
    assert record["approval"] == {"approved": False, "by": "Ada", "reason": "line 2 gets new lamps on Monday"}
    assert "new lamps on Monday" in run.store.read(run.key("report.html")).decode()


def test_last_answer_counts_and_release_bars_rejection(decided, capsys) -> None:
    run = decided()
    asked(run, "approve_release", "--by", "Ada", "--refuse", "too early")
    assert asked(run, "approve_release", "--by", "Ada") == 0
    assert asked(run, "reject_model") == 1
    assert "is to be published" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "words", "told"),
    [
        ({"publish": False}, ["--by", "Ada"], "does not meet its targets"),
        ({"require": False}, ["--by", "Ada"], "publish.require_approval"),
        ({}, ["--by", " "], "--by NAME"),
        ({}, ["--by", "Ada", "--refuse", ""], "--refuse REASON"),
    ],
)
def test_an_answer_that_is_none_is_told(decided, capsys, settings, words, told) -> None:
    run = decided(**settings)
    assert asked(run, "approve_release", *words) == 2
    assert told in capsys.readouterr().err
    assert run.find_result("approve_release") is None


def test_only_approvers_release_and_anyone_refuses(decided, capsys) -> None:
    run = decided("publish.approvers=[ada, ben]")
    assert asked(run, "approve_release", "--by", "eve") == 2
    assert "publish.approvers names ada, ben" in capsys.readouterr().err
    assert asked(run, "approve_release", "--by", "ada", "--user", "17") == 2, "the id counts, not the name"
    assert run.find_result("approve_release") is None
    assert asked(run, "approve_release", "--by", "Eve", "--refuse", "scale is not in the test split") == 0
    assert not released(run).publish
    assert asked(run, "approve_release", "--by", "Ada Fe", "--user", "ada") == 0
    assert released(run).publish


def test_four_eyes_are_those_of_two_people(decided, capsys) -> None:
    run = decided("publish.four_eyes=true")
    for _ in range(2):
        assert asked(run, "approve_release", "--by", "Ada") == 0
        for ending in ("publish_model", "reject_model"):
            assert asked(run, ending) == 2
            assert "waits for another person than Ada" in capsys.readouterr().err
    assert asked(run, "approve_release", "--by", "Ada Fe", "--user", "Ada") == 0, "another name of the same user"
    with pytest.raises(WaitsForAnswer):
        released(run)
    assert asked(run, "approve_release", "--by", "Ben") == 0
    assert released(run).publish
    assert facts(run, None)["approval"] == {"approved": True, "by": "Ada Fe and Ben", "reason": None}


def test_one_refusal_ends_a_release_by_two(decided) -> None:
    run = decided("publish.four_eyes=true")
    asked(run, "approve_release", "--by", "Ada")
    asked(run, "approve_release", "--by", "Ben", "--refuse", "too early")
    assert not released(run).publish
    asked(run, "approve_release", "--by", "Ben")
    with pytest.raises(WaitsForAnswer, match="than Ben"):
        released(run)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["publish.approvers=[ada]", "publish.require_approval=false"], "without publish.require_approval"),
        (["publish.four_eyes=true", "publish.approvers=[ada, ada]"], "needs two people"),
        (["publish.approvers=[' ']"], "an empty name"),
    ],
)
def test_release_that_nobody_can_give_is_refused(decided, settings: list[str], told: str, capsys) -> None:
    with pytest.raises(AssertionError):
        decided(*settings)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("reason", ["-1 % recall on line 2", "--by Eve", "-h", "--", "--store=/elsewhere"])
def test_a_refusal_may_begin_with_a_dash(decided, reason: str) -> None:
    run = decided()
    assert asked(run, "approve_release", "--by", "Ada", "--refuse", reason) == 0
    answered = run.result("approve_release")
    assert (answered.outputs["reason"], answered.outputs["by"]) == (reason, "Ada")
    assert asked(run, "approve_release", "--by", "-Ada-") == 0
    assert run.result("approve_release").outputs["by"] == "-Ada-"


@pytest.fixture
def with_bundle(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], Run]:
    """Gives a run a bundle to publish; of lineage and report, which need every stage, nothing is written."""

    def evaluated(folder: Path) -> StageResult:
        (folder / BUNDLE).mkdir()
        (folder / BUNDLE / "model").write_text("weights", encoding="utf-8")
        return StageResult("evaluate", outputs={"metrics": {}, "targets": {}})

    def give(run: Run) -> Run:
        run.perform("evaluate", {}, evaluated)
        monkeypatch.setattr("steel_training.stages.publish_model.write_lineage", lambda *_: None)
        monkeypatch.setattr(
            "steel_training.stages.publish_model.write_report", lambda *_: run.store.write(run.key(REPORT), b"")
        )
        return run

    return give


def test_published_model_cannot_be_refused(decided, with_bundle, capsys) -> None:
    run = with_bundle(decided())
    assert asked(run, "approve_release", "--by", "Ada") == 0
    assert asked(run, "publish_model") == 0
    assert asked(run, "approve_release", "--by", "Eve", "--refuse", "too late") == 2
    assert "models rollback" in capsys.readouterr().err
    assert asked(run, "approve_release", "--by", "Ada") == 0, "the same answer again is the same result"
    assert asked(run, "reject_model") == 1
    (record,) = run.registry.decisions()
    assert (record["verdict"], record["version"]) == ("published", run.registry.champion()[0])


@pytest.mark.parametrize("ended", [StorageError("S3 is gone"), KeyboardInterrupt()])
def test_a_version_has_a_record_whatever_ends_its_run(
    decided, with_bundle, monkeypatch: pytest.MonkeyPatch, ended: BaseException
) -> None:
    run = with_bundle(decided(require=False))
    with monkeypatch.context() as broken:

        def ends(*_: object, **__: object) -> None:
            raise ended

        broken.setattr(Registry, "promote", ends)
        with contextlib.suppress(KeyboardInterrupt):
            assert asked(run, "publish_model") == 1
    registry = run.registry
    (record,) = registry.decisions()
    assert [record["version"]] == registry.versions()
    assert (record["verdict"], record["reasons"][0]["code"]) == ("published", "release.not_promoted")
    assert "Continue run night" in record["reasons"][0]["message"]
    assert asked(run, "publish_model") == 0, "it is concluded by doing it again"
    (record,) = registry.decisions()
    assert ([reason["code"] for reason in record["reasons"]], registry.champion()[0]) == (
        ["gate.met"],
        record["version"],
    )
