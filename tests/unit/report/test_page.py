"""The report: one self-contained file, verdict first, in which text from a manifest is escaped."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from steel_training.data.images import as_png
from steel_training.evaluation.curves import curves
from steel_training.labels.agreement import Agreement, Measured
from steel_training.leakage.probe import CORRECTED_COPY
from steel_training.report import Mistake, RunRecord, render
from steel_training.report.blocks import Half, Picture, SideBySide
from steel_training.report.terminal import summary
from steel_training.runs.result import STAGES as ALL_STAGES
from steel_training.runs.result import StageResult, Status
from steel_training.verdict import Reason, Verdict

EVIL = "<script>alert('x')</script>"
STAGES = ALL_STAGES[: ALL_STAGES.index("decide")]
HISTORY = {name: [0.5, 0.6] for name in ("loss", "val_loss", "recall", "val_recall", "auc", "val_auc", "val_pr_auc")}
FIX = f"steel-training split '/data/{EVIL}' /data/out --group-by source_id"
CORRECTED = "Metrics before and after the labels were corrected"
METRIC = {"value": 0.9712, "bound": 0.9523}
METRICS = dict.fromkeys(("recall", "f2", "precision", "auc", "average_precision", "specificity"), METRIC)
ALARMS = {"value": 55.0, "bound": 70.1}
DIFFERENCE = {"recall": {"value": 0.02, "bound": -0.005}}
SLICE = {
    "column": "line",
    "value": EVIL,
    "patches": 40,
    "defects": 12,
    "supported": True,
    "recall": {"value": 0.8333, "bound": 0.61},
    "precision": METRIC,
    "false_alarms_per_1000": ALARMS,
}
LITE = {
    "included": False,
    "reason": "its recall drops by 0.8 points",
    "bytes": 4_300_000,
    "max_difference": 0.04,
    "labels_differ": 2,
    "recall_drop": 0.008,
    "latency_ms": {"p50": 9.0, "p95": 12.0},
}


def stages() -> dict[str, dict[str, Any]]:
    """Outputs of every stage, with every key of the contract."""
    trained = {"history": HISTORY, "best_epoch": 2, "weights": {"source": "none", "detail": "random", "random": True}}
    return {
        "resolve_dataset": {
            "dataset": f"s3://steel/{EVIL}", "version": None, "fingerprint": "f" * 64, "code": "c0de", "split_problem": None,
            "config": {"data": {"seed": 20}}, "packages": {"tensorflow": "2.21"},
            "parts": {"train": {"clean": 1, "defective": 2, "groups": 3}},
        },
        "profile_patches": {"patches": 300, "undecodable": 0},
        "validate_patches": {
            "data_docs": "data_docs/index.html",
            "expectations": [{"success": False, "severity": "critical", "code": "data.contrast", "title": "t", "message": EVIL, "examples": ["p1"]}],
            "drift": {"champion": "20261101-old", "note": "", "properties": [
                {"name": "brightness", "part": "test", "psi": 0.31, "chance": 0.13, "reading": "drifted"},
                {"name": "contrast", "part": "all", "psi": 0.02, "chance": None, "reading": "stable"},
            ]},
        },
        "check_baseline": {
            "probes": [{"passed": False, "code": "leak.group", "message": "two parts", "statistic": 2, "threshold": 0, "evidence": {"groups": ["coil7"]}, "fix": FIX}],
            "history": HISTORY, "best_epoch": 1, "metrics": {"auc": 0.9},
        },
        "audit_labels": {
            "problem": "", "patches": 300, "suspects": 9, "suspects_by_split": {"test": 3, "train": 6},
            "contradicting_neighbours": 4, "contradicting_copies": 2, "auc": 0.97, "seconds": {"features": 9.0, "audit": 2.0},
            "wrong_labels": [
                {"label": 0, "patches": 200, "share": 0.0312, "low": 0.011, "high": 0.064},
                {"label": 1, "patches": 100, "share": 0.0, "low": 0.0, "high": 0.02},
            ],
            "learning_curve": {
                "recall": 0.95, "saved": 70.0, "low": 12.0, "high": 130.0,
                "points": [{"groups": g, "patches": 20 * g, "auc": 0.9, "false_alarms_per_1000": a} for g, a in ((4, 420.0), (9, 310.0), (14, 260.0), (18, 240.0))],
            },
        },
        "train_head": trained,
        "fine_tune": trained,
        "evaluate": {
            "threshold": {"value": 0.41, "note": "meets recall"},
            "review": {"low": 0.2, "high": 0.7, "passed": 150, "reviewed": 60, "rejected": 90, "share": 0.2, "missed_below": 1, "false_above": 2, "note": "n"},
            "metrics": {**METRICS, "false_alarms_per_1000": ALARMS},
            "counts": {"tp": 97, "fn": 3, "fp": 11, "tn": 189},
            "sources": {"sources": 60, "defective": 30, "counts": {"tp": 29, "fn": 1, "fp": 4, "tn": 26}, "metrics": METRICS},
            "targets": {"recall": 0.95, "f2": 0.85, "precision": 0.7, "auc": None},
            "prevalence": {"declared": 0.02, "precision": {"value": 0.2613, "bound": 0.19}},
            "calibration": {"shift": 1.39, "ece": 0.031, "bins": [{"low": 0, "high": 0.5, "predicted": 0.1, "observed": 0.12, "patches": 200}, {"low": 0.5, "high": 1, "predicted": None, "observed": None, "patches": 0}]},
            "slices": [SLICE], "worst_slice": SLICE,
            "baseline": {"auc": 0.91, "average_precision": 0.8, "recall": 0.93, "precision": 0.61, "f2": 0.84, "difference": DIFFERENCE,
                "on_validation": {"ours": 0.97, "theirs": 0.915, "value": 0.055, "low": 0.031, "high": 0.082, "confidence": 0.95}},
            "champion": {"version": "20261101-old", "auc": 0.91, "average_precision": 0.8, "recall": 0.95, "precision": 0.61, "f2": 0.84, "difference": DIFFERENCE},
            "corrected_labels": {
                "to_defective": 4, "to_clean": 1, "problem": "",
                "before": {"counts": {"tp": 93, "fn": 4, "fp": 15, "tn": 188}, "metrics": {"recall": 0.9588, "f2": 0.9394, "precision": 0.8611, "auc": None}},
                "after": {"counts": {"tp": 97, "fn": 3, "fp": 11, "tn": 189}, "metrics": {"recall": 0.97, "f2": 0.9548, "precision": 0.8981, "auc": 0.99}},
            },
            "labels_unlike_champion": {"champion": "20261101-old", "common": 280, "to_defective": 4, "to_clean": 8, "in_test": 5, "problem": ""},
            "patches": 300, "defects": 100, "groups": 20, "version": "20261124-abc",
        },
        "verify_bundle": {
            "golden": 16, "max_difference": 2e-6, "labels_differ": 0, "corrupt_image": "refused", "odd_size_image": "scored",
            "latency_ms": {"p50": 21.0, "p95": 30.0}, "throughput_per_s": 70.0, "memory_mb": 900.0, "lite": {"int8": LITE},
        },
    }  # fmt: skip


def as_of_old(outputs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Outputs of a run of the first version: bounds called `lower`, and none of the later blocks."""
    judged = outputs["evaluate"]
    kept = {key: judged[key] for key in ("threshold", "counts", "targets", "patches")}
    metrics = {name: {"value": 0.9712, "lower": 0.9523} for name in METRICS}
    rival = {"auc": 0.91, "recall": 0.93, "precision": 0.61, "f2": 0.84}
    return {
        **outputs,
        "evaluate": {**kept, "metrics": metrics, "baseline": rival, "champion": None},
        "verify_bundle": {"golden": 16},
    }


def profile(patches: int) -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "part": random.choice(["train", "val", "test"], patches),
            "brightness": random.normal(120, 10, patches), "contrast": random.normal(20, 4, patches),
            "sharpness": random.lognormal(5, 0.5, patches), "width": 64, "height": 64, "mode": "L", "format": "PNG",
        }
    )  # fmt: skip


def record(
    verdict: Verdict | None = Verdict.REJECTED,
    *,
    only: int = len(STAGES),
    outputs: dict[str, dict[str, Any]] | None = None,
    patches: int = 300,
    pictures: int = 1,
) -> RunRecord:
    left = dict(list((outputs or stages()).items())[:only])
    judged = "evaluate" in left
    random = np.random.default_rng(0)
    labels = (np.arange(patches) % 3 == 0).astype(int)
    scores = np.clip(0.3 + 0.4 * labels + 0.2 * random.standard_normal(patches), 0, 1)
    picture = as_png(random.integers(0, 255, (128, 128, 3)).astype(np.uint8))
    return RunRecord(
        run_id="r1",
        verdict=verdict,
        reasons=[Reason("gate.recall", f"recall is 0.93; the target is 0.95 {EVIL}")],
        version="20261124-abc" if verdict is Verdict.PUBLISHED else None,
        results={name: StageResult(name, Status.DONE, outputs=o, seconds=1.5) for name, o in left.items()},
        curves=curves((labels, scores), (labels, scores)) if judged else None,
        scores=pd.DataFrame(
            {"patch_id": [f"p{place}" for place in range(patches)], "part": "test", "label": labels, "score": scores}
        )
        if judged
        else None,
        profile=profile(patches) if only > 1 else None,
        mistakes=[
            Mistake(kind, Picture(picture, picture, f"{kind} {EVIL}", [EVIL], beside=f"heat map {EVIL}"))
            for kind in ("missed", "false_alarm")
            for _ in range(pictures)
        ]
        if judged
        else (),
        evidence=[
            (
                "leak.group",
                SideBySide(
                    f"both of {EVIL}",
                    [
                        Half(picture, part, [EVIL], frame)
                        for part, frame in (("train", None), (EVIL, (0.0, 0.25, 0.5, 1.0)))
                    ],
                ),
            )
        ]
        if "check_baseline" in left
        else (),
        doubted=frozenset({"p1", "p2", EVIL}) if "audit_labels" in left else None,
        suspects=[Picture(picture, picture, f"suspect {EVIL}", [EVIL], beside=f"stretched {EVIL}")]
        if "audit_labels" in left
        else (),
        reproduce="steel-training run s3://steel --set data.seed=20",
    )


def page(verdict: Verdict | None = Verdict.REJECTED, **how: Any) -> str:
    return render(record(verdict, **how))


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.split("<body>")[1]))


class Checker(HTMLParser):
    """Collects the addresses and tags that a browser would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [
            value or "" for name, value in attrs if name in {"src", "xlink:href"} or (tag, name) == ("link", "href")
        ]


def test_page_is_one_file_without_external_content() -> None:
    checker = Checker()
    checker.feed(page())
    assert checker.fetched
    assert all(address.startswith(("data:image/", "#")) for address in checker.fetched)
    assert not {"script", "iframe", "object", "form", "link"} & set(checker.tags)


def test_text_from_a_manifest_is_escaped() -> None:
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
        (None, "No verdict yet"),
    ],
)
def test_verdict_and_reasons_come_first(verdict: Verdict | None, said: str) -> None:
    body = words(page(verdict))
    assert said in body[:30]
    assert body.index("Missed 3 of 100 defects") < body.index("gate.recall") < body.index("0.9712")
    assert ("20261124-abc" in body) == (verdict is Verdict.PUBLISHED)


def test_a_rejected_run_opens_with_what_would_help() -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", page())
    assert titles[0] == "What would help most"
    assert "What more coils are worth" in titles
    assert "What would help most" not in re.findall(r"<h2>(.*?)</h2>", page(Verdict.PUBLISHED))


def test_missed_defects_follow_the_metrics() -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", page(Verdict.PUBLISHED))
    assert titles[:5] == [
        "Metrics on the test split",
        CORRECTED,
        "Missed defects",
        "Worst false alarms",
        "Confusion matrix",
    ]


def test_labels_section_has_estimates_and_pictures() -> None:
    html = page()
    text = words(html)
    section = text[text.rindex("Labels to look at first") :]
    for said in (
        "9 of 300 labels",
        "2 of them are contradicted",
        "3.1% 1.1% to 6.4%",
        "3 of them are in the test split",
    ):
        assert said in section, said
    assert html.count('alt="stretched') == 1


def test_metrics_before_and_after_correction_stand_side_by_side() -> None:
    html = page(Verdict.PUBLISHED)
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    assert titles[:2] == ["Metrics on the test split", CORRECTED]
    section = words(html)[words(html).rindex(CORRECTED) :]
    for said in (
        "Blind review corrected 5 labels of the test split: 4 from clean to defective, 1 from defective to clean.",
        "Labels before Corrected labels Change Target",
        "Recall 0.9588 0.9700 +0.0112 ≥ 0.95",
        "AUC undefined 0.9900 undefined none",
        "Missed defects 4 of 97 3 of 100 -1",
        "False alarms 15 of 203 11 of 200 -4",
    ):
        assert said in section, said


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ({"recall": 0.965, "f2": 0.85}, "The value of Recall meets its target by the corrected labels only."),
        ({"recall": 0.9, "precision": None}, ""),
        ({"recall": 0.99}, ""),
    ],
)
def test_a_target_that_is_met_by_one_set_of_labels_only_is_named(targets: dict[str, float | None], said: str) -> None:
    outputs = stages()
    outputs["evaluate"]["targets"] = targets
    text = words(page(outputs=outputs))
    assert ("labels only" in text) == bool(said)
    assert said in text


def test_a_record_of_corrections_that_cannot_be_used_is_named() -> None:
    outputs = stages()
    problem = {"to_defective": 0, "to_clean": 0, "before": None, "after": None, "problem": f"corrections.csv {EVIL}."}
    outputs["evaluate"]["corrected_labels"] = problem
    html = page(outputs=outputs)
    assert "are not known: corrections.csv" in words(html)
    assert EVIL not in html
    assert "Labels before" not in html


@pytest.mark.parametrize("known", [{"corrected_labels": None}, {}])
def test_a_run_without_corrected_test_labels_has_no_such_section(known: dict[str, None]) -> None:
    outputs = stages()
    del outputs["evaluate"]["corrected_labels"]
    outputs["evaluate"] |= known
    assert CORRECTED not in page(outputs=outputs)


def test_comparison_says_how_many_labels_differ_from_the_champions() -> None:
    text = words(page())
    section = text[text.rindex("Comparison with baseline and champion") :]
    assert "12 of 280 labels differ from those of champion 20261101-old" in section
    assert "Champion and challenger are judged by the labels of this run." in section

    outputs = stages()
    unknown = {**outputs["evaluate"]["labels_unlike_champion"], "problem": f"its run {EVIL} is gone."}
    outputs["evaluate"]["labels_unlike_champion"] = unknown
    html = page(outputs=outputs)
    assert "champion 20261101-old is not known: its run" in words(html)
    assert EVIL not in html
    assert "labels differ" not in words(page(outputs=as_of_old(stages())))


def test_agreement_is_shown_with_intervals_and_names_escaped() -> None:
    sure, unknown = Measured(0.9, 0.85, 0.95), Measured(float("nan"), float("nan"), float("nan"))
    given = replace(record(Verdict.REJECTED), agreements=[Agreement("label", EVIL, 300, sure, sure, unknown, sure)])
    html = render(given)
    section = words(html)[words(html).rindex("Agreement of labels") :]
    assert "300 0.900 (0.850 to 0.950) 0.900 (0.850 to 0.950) undefined 0.900" in section
    assert EVIL not in html
    assert "Agreement of labels" not in page()


def test_unreadable_answers_are_named_in_the_report() -> None:
    given = replace(record(Verdict.REJECTED), answers_problem="labels/answers/ada.jsonl, line 3, is damaged")
    assert "cannot be read: labels/answers/ada.jsonl, line 3, is damaged" in words(render(given))


def test_failed_audit_says_why_in_the_report() -> None:
    outputs = stages()
    outputs["audit_labels"] = {**outputs["audit_labels"], "problem": f"too few {EVIL}"}
    text = words(page(outputs=outputs))
    assert "The labels were not audited: too few" in text
    assert "Wrong labels, estimated" not in text


@pytest.mark.parametrize("finished", range(len(STAGES) + 1))
def test_run_that_ended_early_has_a_partial_report(finished: int) -> None:
    html = page(Verdict.BLOCKED, only=finished)
    assert ("Confusion" in html) == (finished >= 8)
    assert ("leak.group" in html) == (finished >= 4)
    assert ("Golden samples" in html) == (finished >= 9)
    assert ("Labels to look at first" in html) == (finished >= 5)


def test_blocked_run_shows_its_evidence_first() -> None:
    blocked = replace(
        record(Verdict.BLOCKED, only=4), reasons=[Reason("leak.group", f"two parts{CORRECTED_COPY}{FIX}")]
    )
    html = render(blocked)
    assert re.findall(r"<h2>(.*?)</h2>", html)[:2] == ["Baseline check", "Data validation"]
    assert "coil7" in html
    text = words(html)
    head = text[: text.index("Baseline check")]
    for said in ("A group or source image is in more than one split", "leak.group two parts", "--group-by source_id"):
        assert (head.count(said), text.count(said)) == (1, 2 if said.startswith("A group") else 1), said
    assert html.count('style="top:0.0%;left:25.0%;width:75.0%;height:50.0%"') == 1


@pytest.mark.parametrize("verdict", [Verdict.PUBLISHED, Verdict.REJECTED])
def test_alarm_of_a_judged_model_shows_pairs_and_command(verdict: Verdict) -> None:
    text = words(page(verdict))
    assert "--group-by" not in text[: text.index("Metrics on the test split")]
    section = text[text.rindex("A group or source image is in more than one split") :]
    assert section.index("leak.group: two parts") < section.index("both of") < section.index("--group-by source_id")


def test_run_of_the_first_version_is_rendered() -> None:
    text = words(page(outputs=as_of_old(stages())))
    assert "0.9523" in text
    assert "Slices" not in text
    assert CORRECTED not in text


def test_errors_and_bounds_are_given_as_numbers() -> None:
    text = words(page())
    for said in (
        "Missed 3 of 100 defects", "11 false alarms among 200 clean patches", "0.9523", "70.1", "29 found", "defect rate of 2.0 %",
        "0.2613", "Worst: line = ", "20261101-old", "+0.0200", "+0.0310 to +0.0820", "-0.0050", "kept: epoch 2", "its recall drops by 0.8 points", "✗ drifted",
        "steel-training run s3://steel", "60 0.2000 to 0.7000 20.0 %",
    ):  # fmt: skip
        assert said in text, said
    assert "accuracy" not in text.lower()


def test_random_weights_and_undefined_metrics_show() -> None:
    outputs = stages()
    outputs["evaluate"]["metrics"] = {name: {"value": None, "bound": None} for name in METRICS}
    html = page(outputs=outputs)
    assert "random" in html
    assert "undefined" in html
    assert "nan" not in re.sub(r"base64,[^\"]+", "", html).lower()


def test_screen_reader_gets_headings_and_alt_texts() -> None:
    html = page()
    assert '<html lang="en">' in html
    assert len(re.findall("<h1", html)) == 1
    assert 0 < html.index("<h2") < html.index("<h3")
    assert not re.findall(r'alt=""', html)
    assert len(re.findall("<svg", html)) == len(re.findall(r'<svg[^>]* role="img" aria-label="[^"]+', html))


def test_report_of_100000_patches_stays_small() -> None:
    # Full galleries of noise, which no PNG makes small: 48 patches at the largest size that is shown, twice each.
    large = record(patches=100_000, pictures=24)
    started = time.process_time()
    html = render(large)
    seconds, size = time.process_time() - started, len(html.encode())
    assert size < 10e6
    assert size - len(page(pictures=24).encode()) < 50_000, "curves and histograms do not grow with the patches"
    assert seconds < 20


def test_terminal_summary_names_metrics_and_targets() -> None:
    judged = stages()["evaluate"]
    text = summary(
        Verdict.REJECTED, [Reason("gate.f2", "low")], {**judged["metrics"], "f2": {"value": 0.8}}, judged["targets"],
        "/store/report.html", None, {"random": True, "detail": "random"},
    )  # fmt: skip
    lines = text.strip().splitlines()
    assert lines[0] == "REJECTED"
    assert "✓ recall     0.9712     target ≥ 0.95" in text
    assert "✗ f2         0.8000     target ≥ 0.85" in text
    assert "auc" not in text, "it has no target here"
    assert "random weights, which are not expected to pass" in text
    assert lines[-1].strip() == "report: /store/report.html"
