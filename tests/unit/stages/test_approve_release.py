"""A person's word stands between the gate and the champion, and no command leads around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from steel_training.cli import main
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run
from steel_training.storage import open_storage
from steel_training.verdict import Reason

MET = Reason("gate.met", "recall 0.97 reaches its target 0.95")


@pytest.fixture
def decided(tmp_path: Path, make_dataset: Callable[..., Path]) -> Callable[..., Run]:
    """A run that the gate has judged."""
    data = make_dataset(tmp_path / "data", patches=60)

    def make(*, publish: bool = True, require: bool = True) -> Run:
        words = ["--run-id", "night", "--store", str(tmp_path / "store"), "--dataset", str(data)]
        words += ["--set", f"publish.require_approval={json.dumps(require)}", "--set", "model.weights=none"]
        assert main(["resolve_dataset", *words]) == 0
        run = Run(open_storage(tmp_path / "store"), "night")
        result = StageResult("decide", reasons=(MET,), outputs={"publish": publish, "champion": None})
        run.perform("decide", run.after("resolve_dataset"), lambda _: result)
        return run

    return make


def asked(run: Run, stage: str, *words: str) -> int:
    return main([stage, "--run-id", run.run_id, "--store", run.store.uri, *words])


@pytest.mark.parametrize("stage", ["publish_model", "reject_model"])
def test_until_a_person_answers_the_model_is_neither_published_nor_rejected(decided, stage: str, capsys) -> None:
    run = decided()
    assert asked(run, stage) == 2
    assert "approve_release --run-id night" in capsys.readouterr().err
    assert run.find_result(stage) is None
    assert run.registry.decisions() == []


def test_a_refusal_is_recorded_as_a_rejection_with_that_persons_reason(decided, capsys) -> None:
    run = decided()
    assert asked(run, "approve_release", "--by", "Ada", "--refuse", "line 2 gets new lamps on Monday") == 0
    assert asked(run, "publish_model") == 1
    assert "decided against" in capsys.readouterr().err
    assert asked(run, "reject_model") == 3
    (record,) = run.registry.decisions()
    assert record["verdict"] == "rejected"
    assert [reason["code"] for reason in record["reasons"]] == ["release.refused"]
    assert "Ada" in record["reasons"][0]["message"]
    assert "new lamps on Monday" in record["reasons"][0]["message"]
    assert record["approval"] == {"approved": False, "by": "Ada", "reason": "line 2 gets new lamps on Monday"}
    assert "new lamps on Monday" in run.store.read(run.key("report.html")).decode()


def test_a_released_model_can_no_longer_be_rejected_and_the_last_answer_counts(decided, capsys) -> None:
    run = decided()
    asked(run, "approve_release", "--by", "Ada", "--refuse", "too early")
    assert asked(run, "approve_release", "--by", "Ada") == 0
    assert asked(run, "reject_model") == 1
    assert "decided for" in capsys.readouterr().err


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
