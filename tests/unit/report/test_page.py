"""The report: one file that opens from a disk, verdict first, and nothing of a manifest can act in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from steel_training.evaluation import curves
from steel_training.pixels import as_png
from steel_training.report import Example, render
from steel_training.report.terminal import summary
from steel_training.run import StageResult, Status
from steel_training.verdict import Reason, Verdict

RANDOM = np.random.default_rng(0)
LABELS = (np.arange(300) % 3 == 0).astype(int)
SCORES = np.clip(0.3 + 0.4 * LABELS + 0.2 * RANDOM.standard_normal(300), 0, 1)
HISTORY = {name: [0.5, 0.6] for name in ("loss", "val_loss", "recall", "val_recall", "auc", "val_auc", "val_pr_auc")}
EVIL = "<script>alert('x')</script>"


def results(**evaluated: object) -> dict[str, StageResult]:
    metric = {"value": 0.9712, "bound": 0.9523}
    names = ("recall", "f2", "precision", "auc", "average_precision", "specificity")
    stages = {
        "resolve_dataset": {
            "dataset": f"s3://steel/{EVIL}", "fingerprint": "f" * 64, "code": "c0de", "config": {"data": {"seed": 20}},
            "parts": {"train": {"clean": 1, "defective": 2, "groups": 3}},
        },
        "validate_patches": {
            "data_docs": "data_docs/index.html",
            "expectations": [{"success": False, "severity": "warning", "code": "data.contrast", "title": "t", "message": EVIL}],
        },
        "check_baseline": {
            "probes": [{"passed": True, "code": "leak.group", "message": "none"}], "history": HISTORY, "metrics": {"auc": 0.9},
        },
        "train_head": {"history": HISTORY, "weights": {"source": "none", "detail": "random", "random": True}},
        "fine_tune": {"history": HISTORY, "weights": {"source": "none", "detail": "random", "random": True}},
        "evaluate": {
            "threshold": {"value": 0.41, "recall": 0.96, "precision": 0.8, "f2": 0.9, "note": "meets recall"},
            "metrics": dict.fromkeys(names, metric),
            "counts": {"tp": 97, "fn": 3, "fp": 11, "tn": 189},
            "targets": {"recall": 0.95, "f2": 0.85, "precision": 0.7, "auc": None},
            "baseline": {"auc": 0.91, "recall": 0.93, "precision": 0.61, "f2": 0.84},
            "champion": None,
            **evaluated,
        },
    }  # fmt: skip
    return {name: StageResult(name, Status.DONE, outputs=outputs, seconds=1.5) for name, outputs in stages.items()}


def page(verdict: Verdict | None = Verdict.REJECTED, only: int | None = None, **evaluated: object) -> str:
    found = dict(list(results(**evaluated).items())[:only])
    judged = "evaluate" in found
    example = Example(EVIL, as_png(np.zeros((8, 8, 3), np.uint8)), 1, 0.2, "missed")
    return render(
        found,
        run_id="r1",
        verdict=verdict,
        reasons=[Reason("gate.recall", f"recall is 0.93; the target is 0.95 {EVIL}")],
        curves=curves((LABELS, SCORES), (LABELS, SCORES)) if judged else None,
        scores=pd.DataFrame({"part": "test", "label": LABELS, "score": SCORES}) if judged else None,
        examples=[example] if judged else None,
        version="20261124-abc" if verdict is Verdict.PUBLISHED else None,
    )


class Checker(HTMLParser):
    """Collects what a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [
            value or "" for name, value in attrs if name in {"src", "xlink:href"} or (tag, name) == ("link", "href")
        ]


def test_the_report_is_one_file_that_fetches_and_runs_nothing() -> None:
    checker = Checker()
    checker.feed(page())
    assert checker.fetched
    assert all(address.startswith(("data:image/", "#")) for address in checker.fetched)
    assert not {"script", "iframe", "object", "form", "link"} & set(checker.tags)


def test_what_comes_from_a_manifest_is_escaped() -> None:
    html = page()
    assert EVIL not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict.PUBLISHED, "Published"),
        (Verdict.REJECTED, "Rejected"),
        (Verdict.BLOCKED, "Blocked"),
        (Verdict.UNCHANGED, "Unchanged"),
        (None, "Not decided"),
    ],
)
def test_the_verdict_and_its_reasons_come_first(verdict: Verdict | None, said: str) -> None:
    html = page(verdict)
    body = re.sub(r"<[^>]+>", " ", html.split("<body>")[1])
    assert body.split()[0].startswith(said.split()[0])
    assert body.index("gate.recall") < body.index("0.9712")
    assert ("20261124-abc" in body) == (verdict is Verdict.PUBLISHED)


@pytest.mark.parametrize("stages", [0, 1, 2, 3, 4, 5])
def test_a_run_that_ended_early_has_a_report_of_what_there_is(stages: int) -> None:
    html = page(Verdict.BLOCKED, only=stages)
    assert "Confusion" not in html
    assert ("leak.group" in html) == (stages >= 3)


def test_missed_defects_false_alarms_and_bounds_are_told_in_numbers() -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page()))
    assert "Missed 3 of 100 defects" in text
    assert "11 false alarms among 200 clean patches" in text
    assert "0.9523" in text
    assert "accuracy" not in text.lower()


def test_random_weights_and_undefined_figures_are_said() -> None:
    undefined = {
        name: {"value": None, "bound": None}
        for name in ("recall", "f2", "precision", "auc", "average_precision", "specificity")
    }
    html = page(metrics=undefined)
    assert "random" in html
    assert "undefined" in html


def test_the_terminal_says_the_same_in_a_few_lines() -> None:
    judged = results()["evaluate"].outputs
    text = summary(
        Verdict.REJECTED, [Reason("gate.f2", "low")], {**judged["metrics"], "f2": {"value": 0.8}}, judged["targets"],
        "/store/report.html", None, {"random": True, "detail": "random"},
    )  # fmt: skip
    lines = text.strip().splitlines()
    assert lines[0] == "REJECTED"
    assert "✓ recall     0.9712     target ≥ 0.95" in text
    assert "✗ f2         0.8000     target ≥ 0.85" in text
    assert "auc" not in text, "it has no target here"
    assert "Random weights are not expected to pass" in text
    assert lines[-1].strip() == "report: /store/report.html"
