"""Evaluation: the threshold comes from validation alone, the metrics from counts over the whole test split."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    average_precision_score,
    fbeta_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from steel_training.config import load_config
from steel_training.evaluation.evaluate import judge
from steel_training.evaluation.threshold import NoOperatingThreshold

RANDOM = np.random.default_rng(3)


def scored(count: int, shift: float = 2.2) -> tuple[np.ndarray, np.ndarray]:
    labels = (RANDOM.random(count) < 0.3).astype(int)
    return labels, 1 / (1 + np.exp(-(RANDOM.standard_normal(count) + shift * labels - 1)))


VAL, TEST = scored(2000), scored(1500)
GROUPS = np.arange(1500) // 5
ROWS = pd.DataFrame({"source_id": GROUPS.astype(str), "line": np.where(GROUPS % 2, "west", "east")})
CONFIG = load_config(overrides=["gate.resamples=200", "gate.precision=0.5"])


def test_metrics_match_scikit_learn_at_the_threshold() -> None:
    judged = judge(CONFIG, val=VAL, test=TEST, groups=GROUPS, rows=ROWS, slice_by=["line"])
    labels, scores = TEST
    called = scores >= judged.threshold.value
    found = {name: metric.value for name, metric in judged.patches.metrics.items()}
    assert found["recall"] == pytest.approx(recall_score(labels, called))
    assert found["precision"] == pytest.approx(precision_score(labels, called))
    assert found["f2"] == pytest.approx(fbeta_score(labels, called, beta=2))
    assert found["auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert found["average_precision"] == pytest.approx(average_precision_score(labels, scores))
    assert judged.patches.counts.tp + judged.patches.counts.fn == labels.sum()
    bounds = dict(judged.patches.metrics)
    alarms = bounds.pop("false_alarms_per_1000")
    assert alarms.value <= alarms.bound
    assert all(metric.bound <= metric.value for metric in bounds.values())
    assert "accuracy" not in found


def test_threshold_does_not_depend_on_the_test_split() -> None:
    usual = judge(CONFIG, val=VAL, test=TEST, groups=GROUPS, rows=ROWS, slice_by=["line"]).threshold.value
    labels, scores = TEST
    assert (
        judge(
            CONFIG, val=VAL, test=(1 - labels, scores[::-1].copy()), groups=GROUPS, rows=ROWS, slice_by=["line"]
        ).threshold.value
        == usual
    )
    assert (
        judge(CONFIG, val=(VAL[0], VAL[1] ** 2), test=TEST, groups=GROUPS, rows=ROWS, slice_by=["line"]).threshold.value
        != usual
    )


def test_margin_increases_recall_on_validation() -> None:
    reached = []
    for margin in (0.0, 1.0, 2.0):
        config = CONFIG.model_copy(update={"threshold": CONFIG.threshold.model_copy(update={"margin": margin})})
        threshold = judge(config, val=VAL, test=TEST, groups=GROUPS, rows=ROWS, slice_by=["line"]).threshold.value
        reached.append(recall_score(VAL[0], VAL[1] >= threshold))
    assert reached[0] >= 0.95
    assert reached == sorted(reached)
    assert reached[2] > reached[0]


def test_stage_output_is_json_of_the_agreed_shape() -> None:
    config = load_config(overrides={"gate.resamples": 200, "data.prevalence": 0.02, "threshold.review": True})
    output = judge(config, val=VAL, test=TEST, groups=GROUPS, rows=ROWS, slice_by=["line"]).as_dict(config)
    json.dumps(output, allow_nan=False)
    names = {"recall", "f2", "precision", "auc", "average_precision", "specificity", "false_alarms_per_1000"}
    assert set(output["metrics"]) == set(output["sources"]["metrics"]) == names
    assert output["sources"]["sources"] == 300
    assert output["sources"]["defective"] == len({g for g, label in zip(GROUPS, TEST[0], strict=True) if label})
    assert output["prevalence"]["precision"]["value"] < output["metrics"]["precision"]["value"]
    assert set(output["review"]) == {
        *("low", "high", "passed", "reviewed", "rejected", "share", "missed_below", "false_above", "note")
    }
    assert {(each["column"], each["value"]) for each in output["slices"]} == {("line", "east"), ("line", "west")}
    assert output["worst_slice"] == min(output["slices"], key=lambda each: each["recall"]["value"])
    assert set(output["calibration"]) == {"shift", "ece", "bins"}


def test_non_finite_test_score_is_refused() -> None:
    labels, scores = TEST
    with pytest.raises(NoOperatingThreshold, match="1 of 1500 test scores") as refused:
        judge(CONFIG, val=VAL, test=(labels, np.r_[np.nan, scores[1:]]), groups=GROUPS, rows=ROWS, slice_by=["line"])
    assert refused.value.code == "gate.not_finite"


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_in_the_test_split_is_undefined(label: int) -> None:
    labels, scores = TEST
    config = load_config(overrides={"gate.resamples": 200, "data.prevalence": 0.02, "threshold.review": True})
    output = judge(
        config, val=VAL, test=(np.full_like(labels, label), scores), groups=GROUPS, rows=ROWS, slice_by=["line"]
    ).as_dict(config)
    json.dumps(output, allow_nan=False)
    assert output["metrics"]["auc"] == {"value": None, "bound": None}
